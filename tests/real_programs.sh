#!/bin/bash
# Real programs with and without the preload library: what they print, their status and the files
# they leave must be the same, byte by byte. Where a program prints times or addresses, its own
# check is compared instead.
#
#   tests/real_programs.sh [--install] [--exact] [--table FILE] [NAME...]
#
# --install gets what is missing (Debian, as root; ripgrep from crates.io, below target/). COMMAND:
# the command (default: target/release/mapgrow). Programs that are not installed are skipped, and
# said to be. FULL=1 takes the large sizes (1 GB to sort, all of Python's suites).
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
mapgrow=$(realpath "${COMMAND:-$here/target/release/mapgrow}")
options=(--quiet) table=/dev/stdout names=()
export PATH=$PATH:$here/target/real-programs/bin
# Debian's package of its interpreter's test suite.
python_suite() { echo "lib$(basename "$(readlink -f /usr/bin/python3)")-testsuite"; }
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git gcc make perl ruby \
        lua5.4 nodejs sqlite3 redis-server redis-tools nginx-light apache2-utils curl postgresql \
        postgresql-contrib openssl xz-utils python3 || exit 1
    apt-get install -y -qq "$(python_suite)" || exit 1
    command -v rg > /dev/null || cargo install --quiet --locked --root "$here/target/real-programs" ripgrep || exit 1
}
while [ $# -gt 0 ]; do
    case $1 in
    --install) install ;;
    --exact) options+=(--exact) ;;
    --table) table=$2; shift ;;
    *) names+=("$1") ;;
    esac
    shift
done
work=$(mktemp -d "${TMPDIR:-/tmp}/real-programs-XXXXXX")
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT
CARGO_DEFAULT=$HOME/.cargo
export LC_ALL=C.UTF-8 HOME=$work/home GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
mkdir -p "$HOME"
git config --global user.email nobody@example.com
git config --global user.name Nobody
git config --global pack.threads 1
git config --global --add safe.directory '*'
full() { [ "${FULL:-0}" = 1 ]; }

# Material that both runs read.
material=$work/material
mkdir "$material"
full && numbers=120000000 || numbers=12000000
prepare_sort() { awk -v n=$numbers 'BEGIN { srand(7); for (i = 0; i < n; i++) printf "%08d\n", rand() * 1e8 }' > "$material/numbers"; }
prepare_bash() {
    for i in $(seq 250); do
        printf 'declare -A a%d; for k in {1..40}; do a%d[key$k]=$((k * %d)); done\n' "$i" "$i" "$i"
        printf 'x%d=$(printf "%%s" "${a%d[key7]}"); echo "line %d: $x%d ${#a%d[@]}"\n' "$i" "$i" "$i" "$i" "$i"
        printf 'f%d() { local v=$1; echo "${v^^}${v//a/b}"; }; f%d banana%d\n' "$i" "$i" "$i"
        printf '[ $((%d %% 50)) -eq 0 ] && (echo sub; echo err %d >&2; /bin/echo external)\n' "$i" "$i"
    done > "$material/script.sh"
    wc -l < "$material/script.sh" >&2
}
prepare_git() { git clone -q --bare "$here" "$material/repository" 2>&1; }
# A C project that cargo has fetched already.
prepare_make() {
    local crate; crate=$(ls -d "${CARGO_HOME:-$CARGO_DEFAULT}"/registry/src/*/tikv-jemalloc-sys-* | tail -1)
    cp -r "$crate/jemalloc" "$material/project" && cp "$crate/configure/"* "$material/project/"
}

# Cases: run in an empty directory, twice. `files NAME` says how what is left is compared.
case_bash() { bash "$material/script.sh"; }
case_sort() { sort -S 200M --parallel=2 -n "$material/numbers" -o sorted; sort -c sorted; sha256sum sorted; rm sorted; }
case_git() {
    git clone -q "file://$material/repository" clone && cd clone && git gc -q && git fsck --full &&
        git log --oneline | sha256sum && git count-objects -v | grep -v size && git status --short && git ls-files -s | sha256sum
}
files_git() { echo none; }
case_make() { cp -r "$material/project" p && cd p && ./configure --disable-cxx CFLAGS=-O1 > log 2>&1 && make -j2 build_lib_static > log 2>&1; tail -1 log | cut -c1-20; find . -name '*.o' -o -name '*.a' | sort | xargs sha256sum; cd .. && rm -r p; }
# The interpreter that has its own test suite: Debian's first, as the site-packages of others may
# disturb it.
suite_python() {
    local python
    for python in /usr/bin/python3 python3; do
        "$python" -c 'import test.test_dict' 2> /dev/null && echo "$python" && return
    done
}
prepare_python() { [ -n "$(suite_python)" ]; }
case_python() {
    local suites="test_dict test_set test_list test_thread test_fork1 test_gc"
    full && suites="$suites test_threading test_subprocess test_ctypes test_dictviews test_ordered_dict test_os test_signal test_mmap"
    "$(suite_python)" -m test -j0 $suites 2>&1 | grep -E '^(Tests result|Result|.* tests? (OK|failed)|All )' | sed 's/^All.*//'
    return "${PIPESTATUS[0]}"
}
files_python() { echo none; }
case_python_dict() { python3 -c '
import sys, json
d, sizes = {}, []
for i in range(1000000):
    d[i] = i
    if not sizes or sizes[-1] != sys.getsizeof(d): sizes.append(sys.getsizeof(d))
print(sizes, sum(d.values())); json.dump(list(range(1000)), open("out.json", "w"))
s = {str(i) for i in range(200000)}; print(len(s)); l = [i for i in range(10**6)]; print(sum(l))'; }
case_perl() { perl -e 'my %h; $h{$_ * 7 % 1000003} = "v$_" for 1..300000; my $n = 0; $n += length $h{$_} for sort { $a <=> $b } keys %h; print scalar(keys %h), " $n\n"; my @a = map { $_ x 3 } 1..50000; print scalar(@a), "\n"; open my $f, ">", "out"; print $f join("\n", sort @a); close $f; system("echo from a shell"); my $p = fork; if (!$p) { my %c = map { $_ => 1 } 1..1000; exit(keys(%c) == 1000 ? 0 : 1) } waitpid $p, 0; print "$?\n"'; }
case_ruby() { ruby --disable-gems -e 'h = {}; 300_000.times { |i| h[i * 7 % 1_000_003] = "v#{i}" }; puts h.size, h.values.map(&:size).sum; a = []; 500_000.times { |i| a << i.to_s }; puts a.size; File.write("out", a.first(1000).join("\n")); pid = fork { exit!(h.size == 300_000 ? 0 : 1) }; Process.wait pid; puts $?.exitstatus; puts `echo shell`; t = 4.times.map { |i| Thread.new { (1..20000).to_h { |x| [x, x] }.size } }; puts t.sum(&:value)'; }
case_lua() { lua5.4 -e 'local t = {} for i = 1, 1000000 do t[i] = i end local h = {} for i = 1, 300000 do h["k" .. i] = i end local n = 0 for _ in pairs(h) do n = n + 1 end print(#t, n) local s = {} for i = 1, 100000 do s[#s + 1] = tostring(i) end io.open("out", "w"):write(table.concat(s, ","))'; }
case_node() { node -e 'const m = new Map(); for (let i = 0; i < 500000; i++) m.set("k" + i, i); let s = 0; for (const v of m.values()) s += v; console.log(m.size, s); require("fs").writeFileSync("out", JSON.stringify([...m.keys()].slice(0, 1000))); console.error("done"); const z = require("zlib").gzipSync(Buffer.alloc(5000000, "abc")); console.log(require("zlib").gunzipSync(z).length); console.log(require("child_process").execSync("echo sub").toString()); process.on("SIGUSR2", () => console.log("usr2")); process.kill(process.pid, "SIGUSR2"); setTimeout(() => {}, 50)'; }
case_sqlite() { sqlite3 db 'create table t(a integer primary key, b text, c real); with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000) insert into t select i, hex(i * 7919), i / 3.0 from n; create index x on t(b); select count(*), sum(a), max(b) from t; select b, count(*) from t group by substr(b, 1, 2) order by 1 limit 20; pragma integrity_check;'; }
case_archives() { cp -r /usr/include/linux tree && tar --sort=name --mtime=@0 --owner=0 --group=0 -cf a.tar tree && xz -k -T1 -3 a.tar && gzip -nk a.tar && xz -dc a.tar.xz | cmp - a.tar && gzip -dc a.tar.gz | cmp - a.tar && mkdir out && tar -xzf a.tar.gz -C out && diff -r tree out/tree && sha256sum a.tar*; }
files_archives() { echo names; }
case_openssl() { openssl speed -seconds 1 -bytes 1024 sha256 2>&1 | grep -c sha256; openssl dgst -sha256 /usr/bin/git; openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=x -days 1 2> /dev/null && openssl x509 -in c -noout -subject; }
files_openssl() { echo names; }
case_ripgrep() { rg -j2 --sort path -c 'struct' /usr/include/linux | sha256sum; rg --files /usr/include | wc -l; }
case_redis() {
    redis-server --port 0 --unixsocket "$PWD/s" --save '' --enable-debug-command yes --daemonize no --dir "$PWD" > log 2>&1 &
    local server=$!
    for _ in $(seq 100); do redis-cli -s s ping > /dev/null 2>&1 && break; sleep 0.1; done
    full && n=1000000 || n=200000
    redis-benchmark -s "$PWD/s" -q -n $n -r 1000000000 -P 16 -t set,lpush,sadd,hset > /dev/null
    redis-cli -s s DEBUG POPULATE 500000 && redis-cli -s s DEBUG RELOAD && redis-cli -s s exists key:0 key:499999 && redis-cli -s s llen mylist
    redis-cli -s s BGSAVE; sleep 1; redis-cli -s s shutdown nosave
    wait $server; echo "server $?"; rm -f log dump.rdb
}
files_redis() { echo names; }
case_nginx() {
    mkdir -p html logs && head -c 20000 /usr/bin/git > html/x
    printf 'daemon off; master_process on; worker_processes 2; pid %s/pid; error_log %s/logs/e;\nevents {}\nhttp { access_log off; client_body_temp_path %s/t1; proxy_temp_path %s/t2; fastcgi_temp_path %s/t3; uwsgi_temp_path %s/t4; scgi_temp_path %s/t5; server { listen 127.0.0.1:18181; root %s/html; } }\n' "$PWD" "$PWD" "$PWD" "$PWD" "$PWD" "$PWD" "$PWD" "$PWD" > conf
    chmod 755 . .. html; nginx -c "$PWD/conf" -p "$PWD" 2>/dev/null & local server=$!
    for _ in $(seq 50); do curl -sf http://127.0.0.1:18181/x > /dev/null && break; sleep 0.1; done
    if command -v ab > /dev/null; then ab -q -n 5000 -c 8 http://127.0.0.1:18181/x 2>&1 | grep -E 'Complete|Failed|Non-2xx|transferred'; fi
    curl -s http://127.0.0.1:18181/x | sha256sum
    kill -HUP $server; sleep 0.5; curl -s http://127.0.0.1:18181/x | sha256sum; kill -USR1 $server; sleep 0.3
    kill -QUIT $server; wait $server; echo "server $?"; rm -rf logs conf
}
files_nginx() { echo names; }
case_postgres() {
    local bin; bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    "$bin/initdb" -D data -A trust -U p --no-sync 2>&1 | grep -c ok
    "$bin/pg_ctl" -s -D data -o "-k $PWD -c listen_addresses= -c fsync=off" -l log -w start; echo "start $?"
    export PGHOST=$PWD PGUSER=p PGDATABASE=postgres
    "$bin/pgbench" -q -i -s 2 > /dev/null 2>&1; "$bin/pgbench" -n -c 4 -j 2 -t 500 2>&1 | grep -E 'actually processed|failed'
    "$bin/psql" -Atc 'select count(*), sum(bid) from pgbench_accounts' -c 'select count(*) from pgbench_history' -c "create table h as select g k, md5(g::text) v from generate_series(1, 300000) g; select count(distinct v), min(v) from h; select count(*) from h a join h b using (v)"
    "$bin/pg_ctl" -s -D data -m fast -w stop; echo "stop $?"; rm -rf data log
}

needs() {
    case $1 in
    sqlite) echo sqlite3 ;; lua) echo lua5.4 ;; redis) echo redis-server ;; nginx) echo nginx ;; postgres) echo pgbench ;;
    python_dict) echo python3 ;; python) echo python3 ;; archives) echo xz ;; make) echo gcc ;; ripgrep) echo rg ;; *) echo "$1" ;;
    esac
}
# What stands in the way of a case whose material could not be made.
missing() { if [ "$1" = python ]; then echo "$(python_suite) is not installed"; else echo 'no material'; fi; }
# Servers that refuse to run as root run as this user.
as_user() { if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then echo postgres; fi; }

snapshot() {
    case $2 in
    none) ;;
    names) (cd "$1" && find . | sort) ;;
    *) (cd "$1" && find . -type f -print0 | sort -z | xargs -0r sha256sum; find . -type l -o -type d | sort) ;;
    esac
}
# Both runs happen in a directory of the same name: compilers write it into what they make.
once() { # name result prefix...
    local name=$1 result=$2 directory=$work/$1/run
    shift 2
    mkdir -p "$directory/cwd"
    local user; user=$(as_user "$name")
    [ -z "$user" ] || { chown -R "$user" "$directory" "$HOME"; chmod 755 "$work" "$work/$name" "$directory"; }
    local runner=(bash -c "cd '$directory/cwd' && case_$name")
    [ -z "$user" ] || runner=(setpriv --reuid="$user" --regid="$user" --clear-groups "$@" "${runner[@]}")
    [ -n "$user" ] || runner=("$@" "${runner[@]}")
    local begin; begin=$(date +%s%N)
    (cd "$directory/cwd" && timeout -k 10 1800 "${runner[@]}") > "$directory/out" 2> "$directory/err" < /dev/null
    echo $? > "$directory/status"
    echo $((($(date +%s%N) - begin) / 1000000)) > "$directory/ms"
    snapshot "$directory/cwd" "$(declare -F "files_$name" > /dev/null && "files_$name" || echo all)" > "$directory/files"
    mv "$directory" "$result"
}
for function in $(declare -F | awk '{ print $3 }' | grep -E '^(case_|full|suite_)'); do export -f "${function?}"; done
export material work
all=(bash sort git make python python_dict perl ruby lua node sqlite archives openssl ripgrep redis nginx postgres)
[ ${#names[@]} -gt 0 ] || names=("${all[@]}")
failed=0
report() { printf '| %-12s | %-9s | %8s | %8s | %s |\n' "$@" >> "$table"; }
report program result 'plain ms' 'with ms' remark
report ------- ------ ------- ------ ------
for name in "${names[@]}"; do
    if ! command -v "$(needs "$name")" > /dev/null; then report "$name" skipped - - "$(needs "$name") is not installed"; continue; fi
    if declare -F "prepare_$name" > /dev/null && ! "prepare_$name" > "$work/prepare.log" 2>&1; then report "$name" skipped - - "$(missing "$name")"; continue; fi
    plain=$work/$name/plain with=$work/$name/with result=same remark=
    once "$name" "$plain"
    once "$name" "$with" "$mapgrow" run "${options[@]}" --
    for what in status out err files; do
        if ! cmp -s "$plain/$what" "$with/$what"; then
            result=DIFFERENT remark="$remark $what"
            diff "$plain/$what" "$with/$what" | head -${DIFF_LINES:-10} | sed "s/^/    $name $what: /" >&2
        fi
    done
    [ "$(cat "$plain/status")" = 0 ] || remark="$remark (status $(cat "$plain/status") in both)"
    [ $result = same ] || failed=1
    report "$name" $result "$(cat "$plain/ms")" "$(cat "$with/ms")" "$remark"
    rm -rf "$plain" "$with"
done
exit $failed
