# The shim that minato carries within itself: built first, gzip'ed (-n: the same
# bytes every time, so that its content hash changes only with its content).
SHIM := dataplane/container/containerd/embed/minato-shim.gz

$(SHIM): $(filter cmd/minato-shim/% dataplane/container/spool/% go.mod go.sum,$(GO_FILES))
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/minato-shim ./cmd/minato-shim
	gzip -9 -n -c bin/minato-shim > $@.tmp && mv $@.tmp $@
