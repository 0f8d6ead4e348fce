# Read by bash before each block of the docs (BASH_ENV): the printed commands on smaller data and on free ports.

intently-train() {
    case $1 in
        synthesize) command intently-train "$@" --users 300 --items 120 --intents 4 ;;
        run) command intently-train "$@" --set training.max_epochs=1 --set encoder.hidden=16 --set options.num_intents=8 ;;
        *) command intently-train "$@" ;;
    esac
}

intently-serve() {
    case $1 in
        run) serve "$@" ;;
        experiments)
            if [ "$2" = report ]; then set -- "$@" --url "http://127.0.0.1:$PUBLIC_PORT"; fi
            command intently-serve "$@" --admin "http://127.0.0.1:$ADMIN_PORT"
            ;;
        *) command intently-serve "$@" ;;
    esac
}

# Starts as printed, is waited for until it is ready, and stopped again, unless the house keeps it.
serve() {
    command intently-serve "$@" --port "$SERVE_PORT" --admin-port "$SERVE_ADMIN_PORT" >serve.log 2>&1 &
    local process=$!
    until command curl -sf -o /dev/null "localhost:$SERVE_PORT/health/ready"; do
        kill -0 "$process" 2>/dev/null || { cat serve.log >&2; return 1; }
        sleep 0.1
    done
    if [ -n "${KEEP:-}" ]; then
        echo "$process" >serve.pid
    else
        kill "$process" && wait "$process"
    fi
}

curl() {
    command curl --fail-with-body "$@"
}
