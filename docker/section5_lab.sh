#!/bin/sh
# JupyterLab with the notebook. The copy in the volume is the person's own: a newer one replaces it only where it was
# never changed.
set -eu
name=car_buy_price_prediction.ipynb
shipped=/app/section5/$name
cd /app/notebooks
if [ ! -e "$name" ] || cmp -s "$name" ".shipped_$name"; then
    cp "$shipped" "$name"
    cp "$shipped" ".shipped_$name"
fi
exec jupyter lab --no-browser --ip=0.0.0.0 --port=8888 --ServerApp.root_dir=/app/notebooks \
    --ServerApp.terminals_enabled=False --LabApp.extension_manager=readonly
