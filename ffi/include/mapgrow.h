/*
 * mapgrow from inside a C or C++ program.
 *
 * A program needs neither to be linked against libmapgrow.so nor to be run under it: the
 * functions are weak, and the macros below do nothing where they are missing.
 *
 *     MAPGROW_MARK("cache warmed up");
 *     if (MAPGROW_IS_LOADED() && mapgrow_dump(NULL, 0) != MAPGROW_OK) ...
 */
#ifndef MAPGROW_H
#define MAPGROW_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MAPGROW_WEAK __attribute__((weak))
#else
#define MAPGROW_WEAK
#endif

/* Version of this header: that of the library it belongs to. */
#define MAPGROW_VERSION_MAJOR 0
#define MAPGROW_VERSION_MINOR 1
#define MAPGROW_VERSION_PATCH 0

/* What mapgrow_dump returns. */
#define MAPGROW_OK 0
/* Nothing was recorded yet, or recording is off. */
#define MAPGROW_NOTHING 1
/* Another dump is being written; it will be followed by one more. */
#define MAPGROW_BUSY 2
/* The file could not be created: see MAPGROW_OUT. */
#define MAPGROW_CANNOT_CREATE 3
/* The file could not be written: is the disk full? */
#define MAPGROW_CANNOT_WRITE 4
/* No name for the file was free: put %n into MAPGROW_OUT. */
#define MAPGROW_NO_NAME 5
/* The dump was written, but its path is longer than the buffer: it was cut. */
#define MAPGROW_PATH_CUT 6

/* Longest label of a mark that is kept, in bytes. */
#define MAPGROW_LABEL_MAX 104

/* Version of the library, as "major.minor.patch". */
const char *mapgrow_version(void) MAPGROW_WEAK;

/*
 * Writes a dump of what is recorded so far to where MAPGROW_OUT says, and puts its path into
 * the buffer unless that is null. Allocates nothing and takes no lock: may be called in a
 * signal handler.
 */
int mapgrow_dump(char *path, size_t path_size) MAPGROW_WEAK;

/* mapgrow_dump by the name that it had first. */
int mapgrow_snapshot(char *path, size_t path_size) MAPGROW_WEAK;

/* Sets a mark on the timeline. The label is UTF-8. */
void mapgrow_mark(const char *label) MAPGROW_WEAK;

/* Whether blocks are being recorded: 1 or 0. */
int mapgrow_is_recording(void) MAPGROW_WEAK;

/* Pauses recording (0) or resumes it (1). Blocks allocated meanwhile stay unrecorded. */
void mapgrow_set_recording(int on) MAPGROW_WEAK;

#if defined(__GNUC__)
#define MAPGROW_IS_LOADED() (mapgrow_version != NULL)
#else
#define MAPGROW_IS_LOADED() 1
#endif

#define MAPGROW_MARK(label)                                                                     \
    do {                                                                                        \
        if (MAPGROW_IS_LOADED()) {                                                              \
            mapgrow_mark(label);                                                                \
        }                                                                                       \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
