# `make X` is `./dev X`.
help: FORCE
	@./dev help
%: FORCE
	@./dev $@
FORCE: ;
Makefile: ;
