# Everything a person runs. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
PHOTO  ?=
PHOTOS ?=

# What Debian and Ubuntu call the programs that some tests need; installed where they are missing.
APT := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y
TESSERACT_PACKS := rus kor heb hin
MISSING_PACKS = $(filter-out $(shell tesseract --list-langs 2> /dev/null),$(TESSERACT_PACKS))

# torch is pinned by version, not by hash: its builds differ by platform (CPU, CUDA, macOS).
TORCH  := torch==2.13.0

# The page is built where Node 20 is at hand; the service runs without it.
PAGE := $(shell node -e "process.exit(process.versions.node.split('.')[0] < 20)" 2> /dev/null && echo web)

# What checks the manifests: old dependencies, so apart; kubectl comes in a package of another use.
OPS  := .venv-ops
SBOM := .venv-sbom

# What lints the API's document and makes its TypeScript client.
CLIENT_TOOLS := clients/typescript/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help locate demo serve web test test-web test-ops evaluation lint format bench audit docs clients lock sbom wheel clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

locate: $(VENV)/.runtime  ## Say where PHOTO=… was taken (a sample photo without PHOTO)
	@photo="$(PHOTO)"; [ -n "$$photo" ] || photo="$$($(BIN)/geofix models sample)"; \
	$(BIN)/geofix locate "$$photo"

demo: $(VENV)/.runtime  ## Build a gallery of PHOTOS=dir and find altered copies of its photos
	@[ -n "$(PHOTOS)" ] || { echo "Say which photos: make demo PHOTOS=directory"; exit 2; }
	@$(BIN)/geofix demo --photos "$(PHOTOS)"

serve: $(VENV)/.runtime $(PAGE)  ## Start service, worker and queue on this machine
	@$(BIN)/geofix serve --all

web: service/page/static/index.html  ## Build the page that the service shows at /

service/page/static/index.html: web/node_modules/.package-lock.json openapi/openapi.json \
		$(shell find web/src -type f) web/index.html web/vite.config.ts
	@npm --prefix web run --silent build
	@touch $@

test: lint  ## All checks and tests that need only Python
	$(BIN)/python -m pytest -m "not tools" --cov --cov-report=term

test-web: web $(VENV)/.dev  ## The page: style, types, logic, and the page in a browser
	@command -v chromium > /dev/null || $(APT) chromium
	npm --prefix web run lint
	npm --prefix web test
	PYTHON=$(abspath $(BIN)/python) npm --prefix web run test:page

test-ops: $(VENV)/.dev $(OPS)/.ready $(SBOM)/.ready $(CLIENT_TOOLS)  ## Tests that need programs beside Python
	@command -v tesseract > /dev/null && [ -z "$(MISSING_PACKS)" ] || \
		$(APT) tesseract-ocr $(TESSERACT_PACKS:%=tesseract-ocr-%)
	@command -v promtool > /dev/null || $(APT) prometheus
	@[ -x /usr/sbin/nginx ] || $(APT) nginx
	@command -v docker-compose > /dev/null || $(APT) docker-compose
	$(BIN)/python -m pytest -m tools

evaluation: $(VENV)/.dev  ## Measure the built-in encoder on PHOTOS=folder anew, into docs/evaluation
	@[ -n "$(PHOTOS)" ] || { echo "Say where: make evaluation PHOTOS=directory"; exit 2; }
	$(BIN)/geofix evaluate --leave-one-out --out docs/evaluation \
		$(patsubst %/,--photos %,$(wildcard $(PHOTOS)/*/))

lint: $(VENV)/.dev  ## Style, types and floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r geofix service workers indexer

format: $(VENV)/.dev  ## Put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## The quick benchmarks
	@for name in choosing jobs galleries serving; do \
		$(BIN)/python -m benchmarks.$$name --quick || exit 1; done

audit: $(VENV)/.dev  ## Look the pinned packages up among known faults; needs their database
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements/runtime.txt

docs: $(VENV)/.dev  ## Build the guide for operators and users of the API into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clients: $(VENV)/.dev $(CLIENT_TOOLS)  ## Build the API's Python and TypeScript clients into clients/
	$(BIN)/openapi-python-client generate --fail-on-warning --meta setup --overwrite \
		--path openapi/openapi.json --config clients/python.yml --output-path clients/python
	npm --prefix clients/typescript run --silent build

LOCK := $(BIN)/pip-compile --quiet --no-config --generate-hashes --strip-extras \
	--unsafe-package torch --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header
lock: $(VENV)/.dev  ## Pin the dependencies anew
	$(LOCK) --extra cpu -o requirements/runtime.txt pyproject.toml
	$(LOCK) --extra gpu -o requirements/gpu.txt pyproject.toml
	$(LOCK) --extra cpu --extra train -c requirements/runtime.txt -o requirements/train.txt pyproject.toml
	$(LOCK) --extra cpu --extra heif --extra train --extra evaluate --extra dev -c requirements/train.txt -o requirements/dev.txt pyproject.toml
	$(LOCK) -o requirements/ops.txt requirements/ops.in
	$(LOCK) -o requirements/sbom.txt requirements/sbom.in

sbom: $(SBOM)/.ready  ## Write the images' bills of materials into dist/
	@mkdir -p dist
	@for lock in runtime gpu; do $(SBOM)/bin/cyclonedx-py requirements --pyproject pyproject.toml \
		--output-reproducible --output-file "dist/sbom-$$lock.cdx.json" "requirements/$$lock.txt" || exit 1; done

wheel: $(VENV)/.dev $(PAGE)  ## Build the wheel into dist/
	$(PIP) wheel --no-deps --wheel-dir dist .

clean:  ## Remove the virtual environment and what was built
	rm -rf $(VENV) $(OPS) $(SBOM) build dist .coverage htmlcov web/node_modules service/page/static

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	@echo "Setting up Geofix (once) …" >&2
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --editable .
	@touch $@

%/node_modules/.package-lock.json: %/package-lock.json
	@npm --prefix $* ci --no-audit --no-fund --silent

$(OPS)/.ready: requirements/ops.txt requirements/kubectl.txt
	@$(PYTHON) -m venv $(OPS)
	@$(OPS)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-deps \
		--require-hashes -r requirements/ops.txt -r requirements/kubectl.txt
	@tar --extract --to-stdout --wildcards --gzip --file \
		"$$($(OPS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"/aws_cdk/*/_jsii/*.jsii.tgz \
		package/lib/layer.zip > $(OPS)/layer.zip
	@$(OPS)/bin/python -m zipfile --extract $(OPS)/layer.zip $(OPS)/layer
	@install $(OPS)/layer/kubectl/kubectl $(OPS)/bin/kubectl
	@rm -r $(OPS)/layer $(OPS)/layer.zip
	@touch $@

$(SBOM)/.ready: requirements/sbom.txt
	@$(PYTHON) -m venv $(SBOM)
	@$(SBOM)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-deps \
		--require-hashes -r requirements/sbom.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install $(TORCH)
	@touch $@
