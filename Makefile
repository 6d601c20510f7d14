# `make` lists the targets. `bash .ci/run` runs the whole check on a clean machine.

# The address of a running service: host:port, or an http:// URL.
SERVER ?= 127.0.0.1:50051
HOST_PORT := $(patsubst http://%,%,$(SERVER))

# The largest number of meetings that `make scale` measures.
N ?= 100000

# The call that `make waterfall` measures.
CALL ?= CreateMeeting

# The seconds that `make fuzz` spends on each target.
SECONDS ?= 60

# Further arguments for `readout serve`: make run ARGS="--help"
ARGS ?=

# `make install` puts the program below this directory, into bin/ and share/.
PREFIX ?= $(if $(filter 0,$(shell id -u)),/usr/local,$(HOME)/.local)
SHARE = $(DESTDIR)$(PREFIX)/share

TARGET := $(or $(CARGO_TARGET_DIR),target)
READOUT := $(TARGET)/release/readout
VENV := $(TARGET)/clients
# The packages of the peers in benches/peers/.
PEERS := $(TARGET)/peers
BUF := npx --yes @bufbuild/buf@1.75.0
# Run in proto/, with the folder to write to.
DOCS := $(BUF) build --path readout -o -\#format=json | python3 docs.py
DENY := $(TARGET)/tools/bin/cargo-deny
CYCLONEDX := $(TARGET)/tools/bin/cargo-cyclonedx
ADVISORIES := https://github.com/rustsec/advisory-db

# CI builds with the committed Cargo.lock.
LOCKED := $(if $(CI),--locked)

# The profile of cargo that `make release` builds with. Others than release only serve to try the scripts.
PROFILE ?= release

.PHONY: help run build install test house readme faults fuzz overload bench peers waterfall scale identity lint contract docs deny release verify-release test-release demo clients clients-connect clients-tls examples rust postgres

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(if $(DATABASE_URL)$(READOUT_POSTGRES_BIN),,postgres) build ## Build, and serve from an embedded database (or from the one that DATABASE_URL names)
	exec $(READOUT) serve $(ARGS)

build: rust ## Build the release binary
	cargo build --release $(LOCKED)

install: build ## Install readout, its manual and its completions below PREFIX (default: /usr/local for root, else ~/.local)
	install -D -m 755 $(READOUT) $(DESTDIR)$(PREFIX)/bin/readout
	@mkdir -p $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	$(READOUT) man --dir $(SHARE)/man/man1
	$(READOUT) completions bash >$(SHARE)/bash-completion/completions/readout
	$(READOUT) completions zsh >$(SHARE)/zsh/site-functions/_readout
	$(READOUT) completions fish >$(SHARE)/fish/vendor_completions.d/readout.fish
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; \
	  *) echo "install: $(PREFIX)/bin is not on the PATH: run export PATH=$(PREFIX)/bin:\$$PATH" >&2 ;; esac

test: postgres rust ## Run the tests, then the commands of README.md and docs/
	cargo test --all-features $(LOCKED)
	cargo test --all-features $(LOCKED) --test it fairness:: -- --ignored
	@$(MAKE) --no-print-directory examples readme

house: rust ## Print the counts of the structure and the language of the code, and fail above their limits
	@cargo test --all-features $(LOCKED) --quiet --test it house:: -- --nocapture

readme: postgres rust $(VENV)/ready ## Run each command in README.md and docs/ against a fresh service, with grpcurl
	cargo build --all-features $(LOCKED)
	PATH="$(abspath $(VENV))/bin:$$PATH" python3 tests/readme/run.py $(TARGET)/debug/readout

faults: postgres rust ## Test the change feed under every fault, some minutes (READOUT_SEED=number repeats a run)
	READOUT_FAULTS=$${READOUT_FAULTS:-all} cargo test $(LOCKED) --test it faults:: -- --nocapture

fuzz: postgres rust ## Give random input to every reader of untrusted input, and to every method (make fuzz SECONDS=3600: an hour each)
	@if cargo fuzz --version >/dev/null 2>&1; then bash fuzz/run $(SECONDS); \
	else echo "fuzz: cargo-fuzz is not installed, so inputs are not guided by coverage (cargo install cargo-fuzz)" >&2; fi
	READOUT_FUZZ=$(SECONDS) cargo test --release --all-features $(LOCKED) --test it fuzz:: -- --nocapture

overload: postgres rust ## Offer ten times the capacity for a minute, then attack the service: two parts, twelve minutes
	READOUT_OVERLOAD=60 cargo test --release $(LOCKED) --test it load::overload -- --nocapture
	READOUT_OVERLOAD=60 cargo test --release $(LOCKED) --test it fairness:: -- --nocapture --include-ignored

bench: postgres rust ## Measure the service and its baselines: one table, about four minutes
	cargo bench --all-features $(LOCKED) --bench bench

peers: postgres rust $(PEERS)/ready ## Compare the service with small services in Node and Python, one call and 64 in flight: five minutes
	cargo bench --all-features $(LOCKED) --bench bench -- peers

waterfall: postgres rust ## Print the parts of one call by step and by statement (make waterfall CALL=CreateMeeting)
	cargo bench --all-features $(LOCKED) --bench bench -- waterfall $(CALL)

$(PEERS)/ready: benches/peers/package.json benches/peers/requirements.txt $(wildcard proto/readout/v1/*.proto)
	mkdir -p $(PEERS)/generated
	cp benches/peers/package.json $(PEERS) && cd $(PEERS) && npm install --silent --no-audit --no-fund
	python3 -m venv $(PEERS)/venv
	$(PEERS)/venv/bin/python -m pip install --quiet --disable-pip-version-check -r benches/peers/requirements.txt
	cd proto && $(abspath $(PEERS))/venv/bin/python -m grpc_tools.protoc -I . -I third_party \
	  --python_out=$(abspath $(PEERS))/generated --grpc_python_out=$(abspath $(PEERS))/generated \
	  $$(find readout third_party -name '*.proto' | sed 's,^third_party/,,')
	@touch $@

scale: postgres rust ## Measure queries over N and N/10 meetings: two tables, one minute (make scale N=1000000: six)
	cargo bench $(LOCKED) --bench scale -- $(N)

identity: postgres rust ## Measure the rule of identity on labelled names and the sample stories, then test it in random orders and histories: ten minutes
	cargo bench $(LOCKED) --bench identity
	READOUT_SHUFFLES=$${READOUT_SHUFFLES:-4} READOUT_HISTORIES=$${READOUT_HISTORIES:-4} \
	  cargo test $(LOCKED) --test it -- identity::stories identity::histories --nocapture --test-threads 1

lint: rust ## Check the format and lints of the code, the contract and the alerts
	cargo fmt --check
	cargo clippy --all-targets --all-features $(LOCKED) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features --document-private-items $(LOCKED)
	cargo check $(LOCKED)
	@if command -v npx >/dev/null; then \
	  cd proto && $(BUF) lint && $(BUF) format -d --exit-code --path readout && \
	    $(BUF) breaking --against contract.binpb --path readout && \
	    api=$$(mktemp -d) && trap 'rm -r "$$api"' EXIT && $(DOCS) "$$api" && \
	    { diff -r ../docs/api "$$api" || { echo "lint: docs/api is out of date: run make docs" >&2; exit 1; }; }; \
	elif [ -n "$(CI)" ]; then \
	  echo "lint: the contract is checked with buf, which needs npx: install Node.js" >&2; exit 1; \
	else \
	  echo "lint: npx is not installed, so the contract was not checked" >&2; \
	fi
	@if command -v promtool >/dev/null; then \
	  cd ops && promtool check rules alerts.yaml && promtool test rules alerts_test.yaml; \
	else \
	  echo "lint: promtool is not installed, so the alerts were not checked" >&2; \
	fi

contract: ## Save the contract as the baseline of `buf breaking` (at a release, once it must stay compatible)
	cd proto && $(BUF) build --exclude-source-info --path readout -o contract.binpb

docs: ## Write docs/api, the reference in Markdown and the schema of stories, from the comments and rules of the contract
	cd proto && $(DOCS) ../docs/api

deny: $(DENY) ## Check licences, duplicates and advisories of the dependencies
	$(DENY) --log-level error check bans licenses sources
	@if git ls-remote --quiet $(ADVISORIES) HEAD >/dev/null 2>&1; then $(DENY) check advisories; \
	else echo "deny: $(ADVISORIES) cannot be reached, so advisories were not checked" >&2; fi

$(DENY):
	cargo install --quiet cargo-deny --version 0.20.2 --locked --debug --no-default-features --root $(TARGET)/tools

release: rust $(CYCLONEDX) ## Make a release in target/release-VERSION/: program, context of an image, SBOM, checksums (about ten minutes)
	PROFILE=$(PROFILE) python3 ops/release/build

verify-release: postgres ## Verify what make release made: checksums, SBOM, the program itself
	PROFILE=$(PROFILE) python3 ops/release/verify

test-release: ## Make and verify a release of a debug build, and check that changed releases are refused
	@$(MAKE) --no-print-directory release verify-release PROFILE=dev
	PROFILE=dev python3 ops/release/test

$(CYCLONEDX):
	cargo install --quiet cargo-cyclonedx --version 0.5.9 --locked --debug --root $(TARGET)/tools

demo: build ## Import the sample stories into a running service (SERVER=host:port)
	$(READOUT) import --server http://$(HOST_PORT) tests/data/azernews.story.json tests/data/stories.ndjson.gz

clients: $(VENV)/ready ## Call a running service with grpcio and buf, by reflection (SERVER=host:port)
	$(VENV)/bin/python tests/clients/grpcio_session.py $(HOST_PORT)
	$(BUF) curl --protocol grpc --http2-prior-knowledge -d '{"pageSize": 1}' \
	  http://$(HOST_PORT)/readout.v1.MeetingService/ListMeetings

clients-tls: build $(VENV)/ready ## Start services and call them with grpcio: in plaintext, over TLS, with certificates, with tokens
	$(VENV)/bin/python tests/clients/all_transports.py $(READOUT)

clients-connect: ## Call a running service with connect-node, and from a page in Chromium (--cors-origins http://127.0.0.1:50990)
	cd tests/clients/connect && npm install --no-audit --no-fund --silent && \
	  PATH="$$PWD/node_modules/.bin:$$PATH" buf generate ../../../proto --template buf.gen.yaml && \
	  node session.mjs http://$(HOST_PORT) ../../data/azernews.story.json && node chromium.mjs http://$(HOST_PORT)

examples: $(VENV)/ready ## Convert the registers in examples/, and compare the stories with those that the tests import
	for register in visits travels; do \
	  $(VENV)/bin/python -B examples/register/$$register.py examples/register/$$register.csv | \
	    diff examples/register/$$register.ndjson - || exit 1; \
	done

$(VENV)/ready: tests/clients/requirements.txt examples/register/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(addprefix -r ,$^)
	@touch $@

rust:
	@command -v cargo >/dev/null || { echo "readout is built with Rust: install it from https://rustup.rs, then try again" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "readout is built with a C compiler too: install gcc or clang, then try again" >&2; exit 1; }

postgres:
	@bash .ci/postgres
