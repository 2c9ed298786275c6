#!/bin/sh
# The life of a model: train a small one from scratch, fine-tune the default one (or TUNED),
# quantize it, evaluate it, promote it, serve it, ask it over HTTP, and tell what all of that ate
# and drank.
#
# It writes to CANTEEN_HOME and takes half an hour on two cores; SIZE=small, as the tests run it,
# takes a few minutes and shows only that everything goes together.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
port=${CANTEEN_PORT:-11434}
tuned=${TUNED:-smollm2:135m}

if [ "${SIZE:-}" = small ]; then
    train="--corpus $here/../docs/guide --vocab-size 400 --hidden-size 64 --num-layers 2
        --ff-size 128 --context-length 256 --batch-size 4 --max-steps 12 --evaluate-every 12"
    tune="--max-examples 40 --max-steps 2 --evaluate-every 2 --context-length 256
        --validation-share 0.2"
    formats="int8,int4" quantize="--no-task --rounds 1" limit=6
    # Two steps teach nothing: the gate asks for no more than an answer.
    gate="accuracy>=0 on three-sentiments; bytes<=200000000"
else
    train="--spec $here/cpu.toml"
    tune="--max-examples 1200 --epochs 1 --batch-size 16"
    formats="int8,int4,nf4" quantize="--limit 100" limit=300
    gate="accuracy>=0.5 on three-sentiments"
fi

echo "== train from scratch"
# shellcheck disable=SC2086 - the options are words
canteen train $train --name tiny:life
canteen run tiny:life --max-tokens 24 "It was a"

echo "== fine-tune"
# shellcheck disable=SC2086
canteen finetune "$tuned" --data three-sentiments $tune --name mood:candidate

echo "== quantize"
# shellcheck disable=SC2086
canteen quantize mood:candidate --compare "$formats" $quantize

echo "== evaluate"
canteen evaluate classify --data three-sentiments --model mood:candidate --limit "$limit" \
    --option method=score --option debias=false

echo "== promote"
canteen promote mood:candidate --to mood:latest --limit "$limit" --gate "$gate" \
    --option debias=false

echo "== serve and ask"
canteen serve --port "$port" &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
until curl -fsS "http://127.0.0.1:$port/health/ready" >/dev/null 2>&1; do
    kill -0 $server || exit 1
    sleep 0.5
done
curl -fsS "http://127.0.0.1:$port/v1/tasks/classify" -d '{"model": "mood:latest",
    "method": "score", "debias": false, "input": "the queue was long, the coffee was worth it",
    "labels": ["negative", "neutral", "positive"]}'
echo
echo "== the receipts of both trainings; that of the answer came with it"
for receipt in $(canteen jobs list --json | grep -o 'rcpt_[0-9a-f]*'); do
    curl -fsS "http://127.0.0.1:$port/v1/footprint/$receipt"
    echo
done
kill $server
wait $server || true
trap - EXIT

echo "== what it ate and drank"
canteen jobs list
canteen footprint --by model
canteen footprint --by phase
