# Every target installs what it needs first (tools/setup.sh); the first run takes a few minutes.
PY := .venv/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test bench reproduce-small lint fuzz site setup setup-dev clean

demo: setup
	$(PY) -m tfodl.cli demo --out build/demo

test: setup-dev
	$(PY) -m pytest -n 2 --dist worksteal

bench: setup-dev
	$(PY) benchmarks/engine.py --out results/bench/engine.json
	$(PY) benchmarks/samples.py
	$(PY) benchmarks/boards.py
	$(if $(COREMARK),$(PY) benchmarks/coremark.py --files $(COREMARK))
	$(if $(MLPERF),$(PY) benchmarks/mlperf.py --files $(MLPERF))
	$(if $(TFODL_DATA),$(PY) benchmarks/dead.py && $(PY) benchmarks/store.py)
	$(PY) benchmarks/tables.py
	$(PY) benchmarks/host.py

reproduce-small: setup-dev
	$(PY) scripts/equal_bytes.py --small
	$(PY) scripts/engines.py
	$(PY) scripts/figure5.py
	$(PY) scripts/compare.py
	$(PY) scripts/fair_random.py --small
	$(PY) scripts/table1.py --small
	$(PY) scripts/table2.py --small
	$(PY) scripts/figure4.py --small
	$(PY) scripts/su_search.py
	$(PY) scripts/neq.py --small
	$(PY) scripts/scotti.py --small
	$(PY) benchmarks/paper_tables.py

lint: setup-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m mypy --strict tflm_export
	$(PY) -m mypy --strict --allow-subclassing-any --allow-untyped-decorators tfodl  # Keras has no types

fuzz: setup-dev
	$(PY) -m pytest tests/tflm_export -k fuzz --fuzz-files 20000 --fuzz-frames 1000000
	$(PY) -m pytest tests/tflm_export/living/test_choosing.py -k power_cut --cut-every 1

site: setup-dev
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

setup:
	@tools/setup.sh "train"

setup-dev:
	@tools/setup.sh "dev,ray"

clean:
	rm -rf build
