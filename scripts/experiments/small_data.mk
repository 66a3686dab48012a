# ODC for small data and its baselines: docs/results.md, docs/small_data.md. scripts/small_data/conf
# has their settings. Each run has a stamp, so an interruption loses no finished run.
.PHONY: small-data small-data-others small-data-study

SMALL_DATA := outputs/small_data
METHODS := odc_small odc dc dcv2 rotation simclr swav supervised
OTHER_DATA := digits letters
SMALL_DATA_CONFIGS := --config-dir scripts/small_data/conf
# Of each data set and study: the images, the settings of a training ($* is METHOD/SEED), and files
# that must exist first.
IMAGES_fashion := data=small_fashion_mnist
IMAGES_digits := data=digits
IMAGES_letters := data=letters data.root=$(SMALL_DATA)/letters/images
TRAIN_fashion = experiment=small_$(patsubst %/,%,$(dir $*))
# On the other data the recipe chooses all settings but the epochs; a training takes about two minutes.
TRAIN_digits = experiment=odc_small $(IMAGES_digits) callbacks.label_scores.knn=false trainer.max_epochs=50
TRAIN_letters = experiment=odc_small $(IMAGES_letters) callbacks.label_scores.knn=false trainer.max_epochs=6
NEEDED_letters := $(SMALL_DATA)/letters/drawn
# The studies change one setting at a time, of ODC as published and of the recipe, with half of the
# images and half of the epochs.
STUDIES := study_odc study_recipe
HALF_BUDGET := data.subset.num_images=10000 small_data.views_1.max_epochs=8 small_data.views_2.max_epochs=4
TRAIN_study_odc = experiment=small_odc +study_odc=$(patsubst %/,%,$(dir $*)) $(HALF_BUDGET)
TRAIN_study_recipe = experiment=small_odc_small +study_recipe=$(patsubst %/,%,$(dir $*)) $(HALF_BUDGET)
UNCHANGED := study_odc/evaluated/as_published study_recipe/evaluated/as_recommended
studied = $(notdir $(basename $(wildcard scripts/small_data/conf/$(1)/*.yaml)))
seeds_of = $(foreach number,0 1 2,$(addsuffix /$(number)/done,$(1)))

small-data: $(call seeds_of,$(addprefix $(SMALL_DATA)/fashion/evaluated/,untrained $(METHODS))) ## Compare ODC for small data with seven baselines on 20,000 images (3 hours on one core)
	$(VENV)/bin/python scripts/small_data/table.py $(SMALL_DATA)/fashion/evaluated > $(SMALL_DATA)/fashion/results.md
	@cat $(SMALL_DATA)/fashion/results.md

small-data-others: $(foreach data,$(OTHER_DATA),$(call seeds_of,$(addprefix $(SMALL_DATA)/$(data)/evaluated/,untrained odc_small))) ## Compare ODC for small data with an untrained network on digits and letters (half an hour on one core)
	@for data in $(OTHER_DATA); do \
		$(VENV)/bin/python scripts/small_data/table.py $(SMALL_DATA)/$$data/evaluated > $(SMALL_DATA)/$$data/results.md && \
		printf '\n%s:\n\n' $$data && cat $(SMALL_DATA)/$$data/results.md || exit 1; \
	done

# Each change runs with one seed, the unchanged method with three, which show the effect of a seed.
small-data-study: $(foreach study,$(STUDIES),$(patsubst %,$(SMALL_DATA)/$(study)/evaluated/%/0/done,$(call studied,$(study)))) $(call seeds_of,$(addprefix $(SMALL_DATA)/,$(UNCHANGED))) ## Change one setting at a time of ODC on small data, and inspect its clusters (2 hours on one core)
	@for study in $(STUDIES); do \
		$(VENV)/bin/python scripts/small_data/table.py $(SMALL_DATA)/$$study/evaluated > $(SMALL_DATA)/$$study/results.md && \
		printf '\n%s:\n\n' $$study && cat $(SMALL_DATA)/$$study/results.md || exit 1; \
	done
	$(RUN) scripts.small_data.study_figure $(SMALL_DATA)/study_odc/evaluated as_published $(SMALL_DATA)/study_odc/changes.png
	$(RUN) scripts.small_data.study_figure $(SMALL_DATA)/study_recipe/evaluated as_recommended $(SMALL_DATA)/study_recipe/changes.png
	$(RUN) scripts.small_data.cluster_content 'K-Means at the start=$(SMALL_DATA)/study_odc/trained/bootstrap_alone/0' \
		'ODC as published=$(SMALL_DATA)/study_odc/trained/as_published/0' \
		'ODC for small data=$(SMALL_DATA)/study_recipe/trained/as_recommended/0' --out $(SMALL_DATA)/content

$(SMALL_DATA)/letters/drawn: | $(SETUP_BENCH)
	$(RUN) scripts.small_data.letters $(SMALL_DATA)/letters/images
	touch $@

# The output of an interrupted run is removed first, so that a folder holds one run.
define small_data_rules
$(SMALL_DATA)/$(1)/trained/%/done: | $(SETUP_BENCH) $(NEEDED_$(1))
	rm -rf $$(@D)
	$$(RUN) odc_lightning.train $(SMALL_DATA_CONFIGS) $$(TRAIN_$(1)) seed=$$(notdir $$*) hydra.run.dir=$$(@D)
	touch $$@

$(SMALL_DATA)/$(1)/evaluated/untrained/%/done: | $(SETUP_BENCH) $(NEEDED_$(1))
	rm -rf $$(@D)
	$$(RUN) odc_lightning.evaluate $(SMALL_DATA_CONFIGS) benchmark=small_data checkpoint=untrained model=convnet \
		$(IMAGES_$(1)) seed=$$* features_dir=$(SMALL_DATA)/features hydra.run.dir=$$(@D)
	touch $$@

$(SMALL_DATA)/$(1)/evaluated/%/done: $(SMALL_DATA)/$(1)/trained/%/done
	rm -rf $$(@D)
	$$(RUN) odc_lightning.evaluate $(SMALL_DATA_CONFIGS) benchmark=small_data checkpoint=$$(<D) \
		seed=$$(notdir $$*) features_dir=$(SMALL_DATA)/features hydra.run.dir=$$(@D)
	touch $$@

.SECONDARY: $(call seeds_of,$(addprefix $(SMALL_DATA)/$(1)/trained/,$(METHODS) $(call studied,$(1))))
endef
$(foreach data,fashion $(OTHER_DATA) $(STUDIES),$(eval $(call small_data_rules,$(data))))
