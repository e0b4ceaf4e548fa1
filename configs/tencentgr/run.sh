#!/bin/sh
# The platform of the advertising challenge calls this script: it prepares the data, trains, and answers if it can.
#
# Environment variables of the platform:
#   TRAIN_DATA_PATH        files of the challenge for training
#   TRAIN_LOG_PATH         where the history of the epochs and the metrics go
#   TRAIN_TF_EVENTS_PATH   where TensorBoard files go
#   TRAIN_CKPT_PATH        where the run directory (checkpoints, configuration) goes
#   USER_CACHE_PATH        room for the prepared data
#   EVAL_DATA_PATH         files of the challenge with the test users; without it nothing is answered
#   EVAL_RESULT_PATH       where the answers go
#   MODEL_OUTPUT_PATH      a run directory to answer with, or a copy of TRAIN_CKPT_PATH; default: the run of TRAIN_CKPT_PATH
#   EVAL_INFER_PATH        where this script lies when it answers; not read, the script finds its presets beside itself
# Further ones: PRESET (default: 5_hstu.yaml), PYTHON (default: python), TRAIN_RESUME=1 (go on with a preparation
# or a run that was interrupted).
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python}
cache=${USER_CACHE_PATH:?set USER_CACHE_PATH}

if [ -n "${TRAIN_DATA_PATH:-}" ]; then
    run=${TRAIN_CKPT_PATH:?set TRAIN_CKPT_PATH}/run
    if [ ! -d "$cache/train" ]; then
        "$python" -m tfrec.tencentgr prepare --from "$TRAIN_DATA_PATH" --output "$cache/train" --semantic-ids \
            ${EVAL_DATA_PATH:+--test-from "$EVAL_DATA_PATH"} ${TRAIN_RESUME:+--resume}
    fi
    "$python" -m tfrec.train --config "$here/${PRESET:-5_hstu.yaml}" --data "$cache/train/dataset" \
        --output "$run" --json ${TRAIN_RESUME:+--resume} > "$cache/metrics.json"
    cat "$cache/metrics.json"
    if [ -n "${TRAIN_LOG_PATH:-}" ]; then
        mkdir -p "$TRAIN_LOG_PATH"
        cp "$run/history.csv" "$cache/metrics.json" "$TRAIN_LOG_PATH/"
    fi
    if [ -n "${TRAIN_TF_EVENTS_PATH:-}" ]; then
        mkdir -p "$TRAIN_TF_EVENTS_PATH"
        cp -R "$run/tensorboard/." "$TRAIN_TF_EVENTS_PATH/"
    fi
fi

if [ -n "${EVAL_DATA_PATH:-}" ]; then
    run=${MODEL_OUTPUT_PATH:-${TRAIN_CKPT_PATH:?set MODEL_OUTPUT_PATH or TRAIN_CKPT_PATH}/run}
    if [ -d "$run/run" ]; then
        run=$run/run
    fi
    # Test users that were there when the data were prepared have profiles, and all candidates take part.
    set -- --run "$run" --from "$cache/train" --output "${EVAL_RESULT_PATH:?set EVAL_RESULT_PATH}"
    if [ ! -f "$cache/train/predict.parquet" ]; then
        set -- "$@" --test-from "$EVAL_DATA_PATH"
    fi
    "$python" -m tfrec.tencentgr infer "$@"
fi
