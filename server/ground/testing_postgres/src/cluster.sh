# A PostgreSQL of one test process: made, started, and gone when whoever holds our standard input goes, however it goes.
# Arguments: the folder of PostgreSQL's programs; on or off, whether commits are flushed to disk; and further options for
# the server, if any.
# Says `ready <folder of the socket>`, and then `done` behind each line that it is told: `crash`, `stop` or `start`.
set -u
# How many seconds a start or a stop may take on a machine that is busy; pg_ctl gives up after one minute otherwise.
export PGCTLTIMEOUT=600
bin=$1 flush=$2 more=${3-}
# Ctrl-C is for whoever holds us; this script has a server and a folder to remove, and does so when that one is gone.
trap '' INT
folder=$(mktemp -d "${TMPDIR:-/tmp}/foldline-postgres.XXXXXX") || exit 1
data=$folder/data log=$folder/log

# Sorts as people do, so that a table that relies on bytes must say so.
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
