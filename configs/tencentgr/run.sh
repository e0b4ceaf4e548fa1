#!/bin/sh
# The platform of the advertising challenge calls this script: it prepares the data, trains, and answers if it can.
#
# Environment variables of the platform:
#   TRAIN_DATA_PATH        files of the challenge for training; without it nothing is trained
#   TRAIN_LOG_PATH         where the history of the epochs and the metrics go, also of a training that fails
#   TRAIN_TF_EVENTS_PATH   where TensorBoard files go, also of a training that fails; semantic_ids/ beside the run's
#   TRAIN_CKPT_PATH        where the run directory (checkpoints, configuration) goes
#   USER_CACHE_PATH        room for the prepared data, which a later call with the same files and vectors takes
#   EVAL_DATA_PATH         files of the challenge with the test users; without it nothing is answered
#   EVAL_RESULT_PATH       where the answers go
#   MODEL_OUTPUT_PATH      a run directory to answer with, or a copy of TRAIN_CKPT_PATH (default: the run there)
#   EVAL_INFER_PATH        where this script lies when it answers; not read, the script finds its presets beside itself
# Further ones:
#   PRESET                 a file beside this script, or an absolute path (default: 5_hstu.yaml)
#   TRAIN_SET              settings on top of it, with spaces between them: "training.epochs=1 model.dim=16"
#   TRAIN_VECTORS          vectors of creatives that are prepared and read by the model, by feature id, with commas, the
#                          first one for semantic ids (default: 81)
#   TRAIN_RESUME=1         go on with a preparation or a run that was interrupted
#   PYTHON                 the Python to call (default: python)
set -euf # -f: a `*` or `[...]` in TRAIN_SET is no pattern of file names
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python}

refuse() {
    echo "run.sh: $1" >&2
    exit 2
}

# All mistakes are named before any work.
[ -n "${TRAIN_DATA_PATH:-}${EVAL_DATA_PATH:-}" ] ||
    refuse "nothing to do: set TRAIN_DATA_PATH to train, EVAL_DATA_PATH to answer, or both"
cache=${USER_CACHE_PATH:?set USER_CACHE_PATH}

if [ -n "${TRAIN_DATA_PATH:-}" ]; then
    [ -d "$TRAIN_DATA_PATH" ] || refuse "TRAIN_DATA_PATH: there is no directory $TRAIN_DATA_PATH"
    trained=${TRAIN_CKPT_PATH:?set TRAIN_CKPT_PATH}/run
    preset=${PRESET:-5_hstu.yaml}
    case $preset in /*) ;; *) preset=$here/$preset ;; esac
    [ -f "$preset" ] ||
        refuse "PRESET: there is no file $preset; beside run.sh there are $(cd "$here" && set +f && echo *.yaml)"
    vectors=${TRAIN_VECTORS:-81}
    case ,$vectors, in
    *[!0-9,]* | *,,*) refuse "TRAIN_VECTORS: $vectors is not a list of feature ids with commas, such as 81,82" ;;
    esac
    for setting in ${TRAIN_SET:-}; do
        case $setting in ?*=*) ;; *) refuse "TRAIN_SET: $setting is not of the form key=value" ;; esac
    done
    [ -n "${TRAIN_RESUME:-}" ] || [ -z "$(ls -A "$trained" 2> /dev/null)" ] ||
        refuse "TRAIN_CKPT_PATH: $trained exists; set TRAIN_RESUME=1 to go on with it, or remove it"
fi
if [ -n "${EVAL_DATA_PATH:-}" ]; then
    [ -d "$EVAL_DATA_PATH" ] || refuse "EVAL_DATA_PATH: there is no directory $EVAL_DATA_PATH"
    answers=${EVAL_RESULT_PATH:?set EVAL_RESULT_PATH}
    model=${MODEL_OUTPUT_PATH:-${TRAIN_CKPT_PATH:?set MODEL_OUTPUT_PATH or TRAIN_CKPT_PATH}/run}
    [ -n "${TRAIN_DATA_PATH:-}" ] || [ -d "$cache/train" ] ||
        refuse "USER_CACHE_PATH: there are no data in $cache/train; set TRAIN_DATA_PATH, too"
    if [ -z "${TRAIN_DATA_PATH:-}" ] || { [ "$model" != "$trained" ] && [ "$model" != "$TRAIN_CKPT_PATH" ]; }; then
        [ -d "$model" ] || refuse "MODEL_OUTPUT_PATH or TRAIN_CKPT_PATH: there is no run directory $model"
    fi
fi

# Paths and sizes of the files in a directory.
files_of() {
    echo "in $(cd -- "$1" && pwd -P)"
    find_files "$1" -exec ls -lnL {} + | awk '{ print $5, substr($0, index($0, "/")) }' | LC_ALL=C sort
}

# find, without what this script writes: a cache may lie among the files.
find_files() {
    folder=$(cd -- "$1" && pwd -P)
    shift
    find -L "$folder" -type f "$@" | OWN=$(cd -- "$cache" && pwd -P)/ awk '
        BEGIN { split("train/ train. metrics.json", own, " ") }
        { for (i in own) if (index($0, ENVIRON["OWN"] own[i])) next; print }'
}

# Whether the record $2 of an earlier preparation names the files of the directory $1 as they are now.
unchanged() {
    [ -f "$2" ] && files_of "$1" | cmp -s - "$2" && [ -z "$(find_files "$1" -newer "$2")" ]
}

# Copies what there is of the logs, also of a preparation or training that failed.
keep_logs() {
    if [ -n "${TRAIN_LOG_PATH:-}" ]; then
        mkdir -p "$TRAIN_LOG_PATH"
        for log in "$trained/history.csv" "$cache/metrics.json"; do
            [ ! -s "$log" ] || cp "$log" "$TRAIN_LOG_PATH/"
        done
    fi
    if [ -n "${TRAIN_TF_EVENTS_PATH:-}" ]; then
        mkdir -p "$TRAIN_TF_EVENTS_PATH"
        [ ! -d "$trained/tensorboard" ] || cp -R "$trained/tensorboard/." "$TRAIN_TF_EVENTS_PATH/"
        for learned in "$cache/train.partial/semantic_ids" "$cache/train/semantic_ids"; do
            [ -d "$learned/tensorboard" ] || continue
            mkdir -p "$TRAIN_TF_EVENTS_PATH/semantic_ids"
            cp -R "$learned/tensorboard/." "$TRAIN_TF_EVENTS_PATH/semantic_ids/"
        done
    fi
}

mkdir -p "$cache"
if [ -n "${TRAIN_DATA_PATH:-}" ]; then
    if [ -d "$cache/train" ]; then
        unchanged "$TRAIN_DATA_PATH" "$cache/train.made_of" ||
            refuse "USER_CACHE_PATH: $cache/train was made of other files than those in $TRAIN_DATA_PATH; remove it"
        # Caches without the record are older than the variable.
        had=$(cat "$cache/train.vectors" 2> /dev/null || echo 81)
        [ "$had" = "$vectors" ] ||
            refuse "USER_CACHE_PATH: $cache/train has vectors $had, not $vectors; set TRAIN_VECTORS=$had, or remove it"
    fi
    rm -f "$cache/metrics.json" # of an earlier training
    trap 'code=$?; trap - EXIT; keep_logs; exit $code' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ ! -d "$cache/train" ]; then
        files_of "$TRAIN_DATA_PATH" > "$cache/train.made_of"
        echo "$vectors" > "$cache/train.vectors"
        files_of "${EVAL_DATA_PATH:-$TRAIN_DATA_PATH}" > "$cache/train.tested_by"
        "$python" -m tfrec.tencentgr prepare --from "$TRAIN_DATA_PATH" --output "$cache/train" --semantic-ids \
            --vectors "$vectors" ${EVAL_DATA_PATH:+--test-from "$EVAL_DATA_PATH"} ${TRAIN_RESUME:+--resume}
    fi
    set --
    if [ -n "${TRAIN_VECTORS:-}" ]; then # the presets read 81
        set -- --set "model.item_vectors=[\"$(printf '%s\n' "$vectors" | sed 's/,/","/g')\"]"
    fi
    for setting in ${TRAIN_SET:-}; do
        set -- "$@" --set "$setting"
    done
    "$python" -m tfrec.train --config "$preset" --data "$cache/train/dataset" --output "$trained" --json "$@" \
        ${TRAIN_RESUME:+--resume} > "$cache/metrics.json"
    cat "$cache/metrics.json"
    trap - EXIT HUP INT TERM
    keep_logs
fi

if [ -n "${EVAL_DATA_PATH:-}" ]; then
    if [ -d "$model/run" ]; then
        model=$model/run
    fi
    # Test users that were there when the data were prepared have profiles, and all candidates take part.
    set -- --run "$model" --from "$cache/train" --output "$answers"
    if [ ! -f "$cache/train/predict.parquet" ] || ! unchanged "$EVAL_DATA_PATH" "$cache/train.tested_by"; then
        set -- "$@" --test-from "$EVAL_DATA_PATH"
    fi
    "$python" -m tfrec.tencentgr infer "$@"
fi
