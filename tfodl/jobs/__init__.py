"""The jobs behind `tfodl finetune` and `tfodl quantize`: files in, files out."""
