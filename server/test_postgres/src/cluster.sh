# The PostgreSQL server of one test process: created, started, and removed when the process that holds our standard input
# ends.
# Arguments: the folder of PostgreSQL's programs; on or off, whether commits are flushed to disk; and further options for
# the server, if any.
# Prints `ready <folder of the socket>`, and then `done` after each command on standard input: `crash`, `stop` or `start`.
set -u
# How many seconds a start or a stop may take on a busy machine; by default pg_ctl gives up after one minute.
export PGCTLTIMEOUT=600
bin=$1 flush=$2 more=${3-}
# Ctrl-C is for the test process; this script removes its server and its folder when that process has ended.
trap '' INT
folder=$(mktemp -d "${TMPDIR:-/tmp}/foldline-postgres.XXXXXX") || exit 1
data=$folder/data log=$folder/log

# A natural-language collation, so that a table that relies on the order of bytes must declare it.
"$bin/initdb" --pgdata "$data" --username foldline --auth trust --encoding UTF8 --locale C \
  --locale-provider icu --icu-locale en --no-sync >"$log" 2>&1 || { cat "$log" >&2; rm -rf "$folder"; exit 1; }

start() {
  "$bin/pg_ctl" --pgdata "$data" --log "$log" --wait --silent start --options "-c listen_addresses='' -c \
    unix_socket_directories='$folder' -c fsync=$flush -c full_page_writes=$flush -c max_connections=200 -c \
    shared_buffers=32MB -c max_wal_size=256MB $more" </dev/null >/dev/null 2>&1 || { cat "$log" >&2; return 1; }
}

if start; then
  echo "ready $folder"
  while read -r order; do
    case $order in
      crash) "$bin/pg_ctl" --pgdata "$data" --mode immediate --silent --wait stop >/dev/null 2>&1 ;;
      stop) "$bin/pg_ctl" --pgdata "$data" --mode fast --silent --wait stop >/dev/null 2>&1 ;;
      start) start ;;
    esac
    echo "done"
  done
fi
"$bin/pg_ctl" --pgdata "$data" --mode immediate --silent stop >/dev/null 2>&1
rm -rf "$folder"
