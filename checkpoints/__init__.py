"""Released models, one folder each: config.json, model.safetensors and a card; package data."""
