# Names of some images as a guide for the clusters: docs/fine_tuning.md. scripts/named/study.py lists
# the runs. A finished run is not repeated, an interrupted one is resumed.
.PHONY: named-study

NAMED := outputs/named
# timm:NAME, or a file with the weights of that network.
NAMED_WEIGHTS := $(ADAPT_WEIGHTS)
# solar needs the package elpv-dataset.
NAMED_DATA := fashion solar
NAMED_ROOT := datasets

named-study: $(addprefix $(NAMED)/images/,$(NAMED_DATA)) | $(SETUP_BENCH) ## Train with 5, 20 and 100 named images of a class, against a linear classifier alone (an hour on two cores)
	$(RUN) scripts.named.study $(NAMED) --images $(NAMED)/images --data $(NAMED_DATA) --settings \
		model=timm model.backbone.name=$(ADAPT_NETWORK) model.pretrained=$(NAMED_WEIGHTS) data.image_size=$(ADAPT_SIZE)
	$(RUN) scripts.named.table $(NAMED) > $(NAMED)/results.md
	@cat $(NAMED)/results.md

$(NAMED)/images/%: | $(SETUP)
	$(RUN) scripts.named.data $* $@ --root $(NAMED_ROOT)
