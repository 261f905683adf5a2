# The shim and the helper that minato carries within itself: built first, gzip'ed
# (-n: the same bytes every time, so that a content hash changes only with its
# content).
EMBED := dataplane/container/containerd/embed
SHIM := $(EMBED)/minato-shim.gz $(EMBED)/minato-helper.gz

$(EMBED)/minato-shim.gz: $(filter cmd/minato-shim/% go.mod go.sum,$(GO_FILES))
$(EMBED)/minato-helper.gz: $(filter cmd/minato-helper/% dataplane/container/spool/% go.mod,$(GO_FILES))

$(SHIM): $(EMBED)/%.gz:
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/$* ./cmd/$*
	gzip -9 -n -c bin/$* > $@.tmp && mv $@.tmp $@
