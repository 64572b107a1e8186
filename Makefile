# Two targets matter to a newcomer: `make demo` and `make test`. Each makes its own environment.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test spark lint bench bench-models bench-service lock clean

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: .venv/ready
	rm -rf demo
	$(BIN)/churnml demo --out demo

test: .venv/ready
	$(BIN)/python -m pytest -n 2 --max-worker-restart=2

# PySpark beside the rest: 400 MB that only the Spark engine needs, without which its tests are skipped.
spark: .venv/spark

.venv/spark: .venv/ready requirements-spark.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --requirement requirements-spark.lock
	touch $@

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Peers that nothing else needs are installed beside the rest.
bench: .venv/spark
	$(BIN)/uv pip install --quiet --python $(BIN)/python polars
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/online.py
	$(BIN)/python benchmarks/spark.py

# The models beside their peers and the truth.
bench-models: .venv/ready
	$(BIN)/uv pip install --quiet --python $(BIN)/python catboost xgboost
	$(BIN)/python benchmarks/classifier.py
	$(BIN)/python benchmarks/value.py
	$(BIN)/python benchmarks/hazard.py
	$(BIN)/python benchmarks/truth.py
	$(BIN)/python benchmarks/models.py

# The service beside a FastAPI twin and MLflow, and under load: half an hour.
bench-service: .venv/ready
	$(BIN)/python benchmarks/service.py

# After a change of the dependencies in pyproject.toml.
lock: .venv/ready
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-header --extra dev --output-file requirements.lock pyproject.toml
	echo 'pyspark>=4.0.1,<4.1' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header --output-file requirements-spark.lock -

clean:
	rm -rf .venv demo
