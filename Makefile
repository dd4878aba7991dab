# The only entry point; CI calls the same targets. The work is in tools/.
export DESTDIR PREFIX KEEP
.DEFAULT_GOAL := help
.PHONY: help run test test-dahdi soak fuzz bench bench-api bench-sip bench-ami bench-dsp dsp-report coverage format install uninstall

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and start the engine and apid, restart whichever dies, until Ctrl-C
	@tools/run

test: ## install what the tests need, run all of them, print one summary
	@tools/test

test-dahdi: ## only the tests on the real DAHDI driver, in a virtual machine
	@tools/test dahdi

soak: ## the long forms: 100 kills, 10 minutes of hostile memory, 50 calls for a minute
	@tools/soak

fuzz: ## fuzz every parser for FUZZ_SECONDS (60) each
	@tools/fuzz

bench: ## measure every promise of the README against a floor taken in the same run
	@tools/bench

bench-api: ## measure what programs that hear, speak and listen may expect
	@tools/bench api

bench-sip: ## measure what SIP calls cost, and how many a second there can be
	@tools/bench sip

bench-ami: ## measure what the manager interface costs its clients
	@tools/bench ami

bench-dsp: ## measure what each block of signal processing costs a frame, write docs/dsp.md
	@tools/bench-dsp

dsp-report: ## measure what is heard of digits, speech and echoes beside other programs, write docs/dsp.md
	@tools/dsp-report

coverage: ## line coverage of all tests, as a table and as HTML in target/coverage
	@tools/coverage

format: ## format the code
	@cargo fmt --all

install: ## as root: programs, systemd units, udev rule; DESTDIR=, PREFIX=/usr/local
	@tools/install install

uninstall: ## as root: take all of it away again, settings and state too unless KEEP=1
	@tools/install uninstall
