#!/bin/sh
# Prometheus (Debian's package) scrapes `mapgrow serve`; a query has to return the live bytes that
# the report tells. Takes about 20 seconds; needs the packages prometheus and curl.
set -eu
cd "$(dirname "$0")/.."
for tool in prometheus curl python3; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is missing (apt-get install $tool)"; exit 0; }
done
cargo build --quiet -p mapgrow-cli --example cli_victim
cargo build --quiet -p mapgrow-cli
mapgrow=target/debug/mapgrow
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; rm -rf "$dir"' EXIT
export XDG_RUNTIME_DIR="$dir" XDG_STATE_HOME="$dir" MAPGROW_DIR="$dir"

# A program that fills one map and waits for input.
mkfifo "$dir/input"
target/debug/examples/cli_victim <"$dir/input" >"$dir/victim" &
victim=$!
pids="$pids $victim"
exec 9>"$dir/input"
until grep -q 100000 "$dir/victim"; do sleep 0.1; done

"$mapgrow" serve "$victim" --listen 127.0.0.1:0 >"$dir/serve" &
pids="$pids $!"
until grep -q serving "$dir/serve"; do sleep 0.1; done
address=$(sed 's|.*http://\([^/]*\)/.*|\1|' "$dir/serve")
# A port that is free now.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$dir/prometheus.yml" <<CONFIG
scrape_configs:
  - job_name: mapgrow
    scrape_interval: 1s
    static_configs:
      - targets: ["$address"]
CONFIG
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
    --web.listen-address="127.0.0.1:$port" >"$dir/log" 2>&1 &
pids="$pids $!"

expected=$("$mapgrow" report "$victim" --json | python3 -c '
import json, sys
sites = json.load(sys.stdin)["sites"]
print(max(site["live_bytes"] for site in sites))')
tries=0
until found=$(curl -sG "http://127.0.0.1:$port/api/v1/query" \
    --data-urlencode 'query=max(mapgrow_site_live_bytes{program="cli_victim"})' | python3 -c '
import json, sys
print(int(float(json.load(sys.stdin)["data"]["result"][0]["value"][1])))' 2>/dev/null); do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "FAILED: no sample after 60 tries"; tail "$dir/log"; exit 1; }
    sleep 0.5
done
if [ "$found" != "$expected" ]; then
    echo "FAILED: the report tells $expected live bytes, Prometheus $found"
    exit 1
fi
curl -sG "http://127.0.0.1:$port/api/v1/targets" | python3 -c '
import json, sys
target = json.load(sys.stdin)["data"]["activeTargets"][0]
assert target["health"] == "up" and not target["lastError"], target'
echo "passed: $found live bytes in both"
