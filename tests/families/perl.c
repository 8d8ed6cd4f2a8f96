/* Perl's hashes and arrays: the array of buckets and the list of elements, as the macros of its
   own headers tell their length. The keys of all hashes lie in one more hash of Perl's own. */
#include "told.h"
#include <EXTERN.h>
#include <perl.h>

static struct told told[] = {{.shape = "fill_hash", .family = "perl_hash"},
                             {.shape = "fill_hash", .family = "perl_hash", .born_elsewhere = 1},
                             {.shape = "fill_array", .family = "perl_array"}};

static void tell(struct told *told, HV *hash) {
    told_block(told, PERL_HV_ARRAY_ALLOC_BYTES(HvMAX(hash) + 1), HvARRAY(hash));
}

__attribute__((noinline)) static void fill_hash(pTHX_ HV *hash) {
    char key[16];
    tell(&told[1], PL_strtab);
    for (int i = 0; i < 50000; i++) {
        int length = snprintf(key, sizeof key, "key %d", i);
        hv_store(hash, key, length, &PL_sv_yes, 0);
        tell(&told[0], hash);
        tell(&told[1], PL_strtab);
    }
}

__attribute__((noinline)) static void fill_array(pTHX_ AV *array) {
    for (int i = 0; i < 100000; i++) {
        av_store(array, i, &PL_sv_yes);
        told_block(&told[2], (AvMAX(array) + 1) * sizeof(SV *), AvALLOC(array));
    }
}

int main(int argc, char **argv, char **environment) {
    char *script[] = {"", "-e", "0", NULL};
    PERL_SYS_INIT3(&argc, &argv, &environment);
    PerlInterpreter *my_perl = perl_alloc();
    perl_construct(my_perl);
    if (perl_parse(my_perl, NULL, 3, script, NULL) != 0) {
        return 1;
    }
    fill_hash(aTHX_ newHV());
    fill_array(aTHX_ newAV());
    told_print(told, 3);
    return 0;
}
