# `make help` explains every target. Each one installs what it needs, once.
SHELL := /bin/bash
VENV ?= .venv
# The first Python that the package supports; `make PYTHON=/path/to/python3.12 setup` to choose another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c "$(SUPPORTED)" 2>/dev/null && { echo $$p; break; }; done)
RUN := $(VENV)/bin/python -m
SETUP := $(VENV)/.installed
SETUP_DEV := $(VENV)/.installed-dev
SETUP_SWEEP := $(VENV)/.installed-sweep
SETUP_BENCH := $(VENV)/.installed-bench

.DEFAULT_GOAL := help
.PHONY: help setup quickstart compare loss-curves fine-tuning figures small-data small-data-others small-data-study lint type format docs test test-slow test-ddp bench clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

setup: $(SETUP) ## Make .venv and install the package in it

quickstart: $(SETUP) ## Train ODC on scikit-learn's digits on the CPU and show what came out
	$(RUN) odc_lightning.train experiment=quickstart

# Networks that are trained once, and then only evaluated.
COMPARED := outputs/compare

compare: $(COMPARED)/odc/summary.json $(COMPARED)/supervised/summary.json ## Train ODC and a supervised network on Fashion-MNIST, evaluate both beside an untrained one
	rm -rf $(COMPARED)/evaluation
	$(RUN) odc_lightning.evaluate -m checkpoint=untrained,$(COMPARED)/odc,$(COMPARED)/supervised \
		data=fashion_mnist model=convnet hydra.sweep.dir=$(COMPARED)/evaluation
	$(VENV)/bin/python scripts/evaluation_table.py $(COMPARED)/evaluation/*/ \
		--figure $(COMPARED)/low_shot.png > $(COMPARED)/results.md
	@cat $(COMPARED)/results.md

$(COMPARED)/%/summary.json: | $(SETUP)
	$(RUN) odc_lightning.train experiment=$*_fashion_mnist hydra.run.dir=$(COMPARED)/$*

SEEDS := 0,1,2
# Two jobs at a time, a core each: to networks this small a second core is of little use.
TWO := hydra/launcher=joblib hydra.launcher.n_jobs=2 trainer.accelerator=cpu
OF_SEEDS = $(foreach seed,0 1 2,$(1)=$(2)/seed_$(seed))

LOSSES := outputs/loss_curves

loss-curves: $(LOSSES)/trained ## Train ODC and DC on Fashion-MNIST and draw their losses on one axis (Figure 1b)
	$(VENV)/bin/python scripts/figure_1b.py $(call OF_SEEDS,ODC,$(LOSSES)/odc_fashion_mnist) \
		$(call OF_SEEDS,DC,$(LOSSES)/dc_fashion_mnist) $(LOSSES)/loss_curves.png

$(LOSSES)/trained: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO) sweep=odc_dc hydra.sweep.dir=$(LOSSES)
	touch $@

# Starting points, the same fine-tuned by DC and by ODC, and all of them evaluated: 6,000 images, in
# small batches for the sake of enough steps.
TUNED := outputs/fine_tuning
FEW := 'data.subset={num_images: 6000}' data.batch_size=64 callbacks.label_scores.knn=false
STARTS := rotation_fashion_mnist,jigsaw_fashion_mnist,colorization_photos,dc_fashion_mnist
# A folder for each run of a sweep, named by its settings; what was interrupted goes on.
BY_NAME := train.resume=auto 'hydra.sweep.subdir=$${name}/$${seed}'
BY_START := train.resume=auto 'hydra.sweep.subdir=$${start}/$${seed}'

fine-tuning: $(TUNED)/evaluated ## Fine-tune four starting points by DC and by ODC (Table 4)
	$(VENV)/bin/python scripts/fine_tuning_table.py $(TUNED)/evaluation > $(TUNED)/results.md
	@cat $(TUNED)/results.md

$(TUNED)/original/done: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train -m $(TWO) experiment=rotation_fashion_mnist,jigsaw_fashion_mnist,dc_fashion_mnist \
		seed=$(SEEDS) $(FEW) hydra.sweep.dir=$(TUNED)/original $(BY_NAME)
	$(RUN) odc_lightning.train -m $(TWO) experiment=colorization_photos seed=$(SEEDS) \
		hydra.sweep.dir=$(TUNED)/original $(BY_NAME)
	touch $@

$(TUNED)/%/done: $(TUNED)/original/done
	$(RUN) odc_lightning.train -m $(TWO) experiment=finetune_$*_fashion_mnist +start=$(STARTS) seed=$(SEEDS) \
		'model.pretrained=$(TUNED)/original/$${start}/$${seed}' $(FEW) trainer.max_epochs=6 \
		hydra.sweep.dir=$(TUNED)/$* $(BY_START)
	touch $@

$(TUNED)/evaluated: $(TUNED)/original/done $(TUNED)/dc/done $(TUNED)/odc/done
	$(RUN) odc_lightning.evaluate -m $(TWO) +method=original,dc,odc +start=$(STARTS) seed=$(SEEDS) \
		'checkpoint=$(TUNED)/$${method}/$${start}/$${seed}' \
		data=fashion_mnist 'data.subset={num_images: 6000}' protocol=[knn,linear,clustering] \
		protocol.linear.layers=[pooled] hydra.sweep.dir=$(TUNED)/evaluation \
		'hydra.sweep.subdir=$${method}/$${start}/$${seed}'
	$(RUN) odc_lightning.evaluate -m $(TWO) checkpoint=untrained model=convnet seed=$(SEEDS) \
		data=fashion_mnist 'data.subset={num_images: 6000}' protocol=[knn,linear,clustering] \
		protocol.linear.layers=[pooled] hydra.sweep.dir=$(TUNED)/evaluation \
		'hydra.sweep.subdir=untrained/none/$${seed}'
	touch $@

.SECONDARY: $(TUNED)/dc/done $(TUNED)/odc/done

# All figures and tables of the paper at small scale: the studies of conf/sweep on 5,000 images with a
# narrower network and fewer values, and the kNN at the end alone; Table 4 on 3,000. A stamp a study;
# one that was interrupted goes on.
FIGURES := outputs/figures
NARROW := model.backbone.width=12
SMALLER := data.subset.num_images=5000 data.batch_size=64 trainer.max_epochs=30 callbacks.label_scores.every_n_epochs=100
# An epoch has 78 steps; where cluster sizes are studied, 25 clusters have 200 images on average.
VALUES_update_interval := algorithm.centroid_refresh.every_n_steps=1,5,20,100
VALUES_cluster_size := algorithm.small_clusters.threshold=5,20,80,160 algorithm.num_clusters=25
RATIOS := 1,8,64
VALUES_long_tail := data.subset.imbalance=$(RATIOS)
BALANCED := data=fashion_mnist '+data.subset.num_images=5000' model=convnet $(NARROW) features_dir=$(FIGURES)/features

figures: $(addprefix $(FIGURES)/,odc_dc/finished wide/finished supervised/finished update_interval/finished cluster_size/finished long_tail_evaluated/finished evaluation/finished) ## Redo the paper's Figures 1b and 3 to 7 and Tables 1 to 4 at small scale (75 minutes of two cores)
	$(MAKE) $(FIGURES)/fine_tuning/evaluated TUNED=$(FIGURES)/fine_tuning SEEDS=0 \
		"FEW='data.subset={num_images: 3000}' data.batch_size=64 callbacks.label_scores.knn=false"
	$(VENV)/bin/python scripts/figure_1b.py $(call OF_SEEDS,ODC,$(FIGURES)/odc_dc/odc_fashion_mnist) \
		$(call OF_SEEDS,DC,$(FIGURES)/odc_dc/dc_fashion_mnist) $(FIGURES)/figure_1b.png
	$(VENV)/bin/python scripts/figure_3.py $(FIGURES)/evaluation/*/ $(FIGURES)/figure_3.png
	$(VENV)/bin/python scripts/figure_4.py $(FIGURES)/update_interval $(FIGURES)/cluster_size $(FIGURES)/figure_4.png
	$(VENV)/bin/python scripts/figure_5.py $(call OF_SEEDS,'width 12',$(FIGURES)/odc_dc/odc_fashion_mnist) \
		$(call OF_SEEDS,'width 24',$(FIGURES)/wide) $(FIGURES)/figure_5.png
	$(VENV)/bin/python scripts/figure_6.py $(FIGURES)/long_tail_evaluated $(FIGURES)/figure_6.png
	$(VENV)/bin/python scripts/figure_7.py $(FIGURES)/odc_dc/odc_fashion_mnist/seed_0 $(FIGURES)/figure_7.png
	$(VENV)/bin/python scripts/tables.py $(FIGURES)/evaluation --fine-tuning $(FIGURES)/fine_tuning/evaluation \
		> $(FIGURES)/tables.md
	$(RUN) odc_lightning.report $(FIGURES)/odc_dc $(FIGURES)/evaluation --out $(FIGURES)/report.html
	@cat $(FIGURES)/tables.md

$(FIGURES)/odc_dc/finished: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO) sweep=odc_dc $(NARROW) $(SMALLER) trainer.log_every_n_steps=4 \
		hydra.sweep.dir=$(@D)
	touch $@

$(FIGURES)/wide/finished: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO) sweep=odc_dc experiment=odc_fashion_mnist $(SMALLER) trainer.log_every_n_steps=4 \
		hydra.sweep.dir=$(@D) 'hydra.sweep.subdir=seed_$${seed}'
	touch $@

$(FIGURES)/supervised/finished: | $(SETUP)
	$(RUN) odc_lightning.train experiment=supervised_fashion_mnist $(NARROW) '+data.subset.num_images=5000' \
		data.batch_size=64 trainer.max_epochs=30 train.resume=auto hydra.run.dir=$(@D)
	touch $@

$(addprefix $(FIGURES)/,$(addsuffix /finished,update_interval cluster_size long_tail)): $(FIGURES)/%/finished: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO) sweep=$* $(NARROW) $(SMALLER) $(VALUES_$*) hydra.sweep.dir=$(@D)
	touch $@

# On images of which there are as many in each class, whatever a network was trained on.
$(FIGURES)/long_tail_evaluated/finished: $(FIGURES)/long_tail/finished
	$(RUN) odc_lightning.evaluate -m $(TWO) $(BALANCED) protocol=knn +ratio=$(RATIOS) seed=$(SEEDS) \
		'checkpoint=$(FIGURES)/long_tail/ratio_$${ratio}/seed_$${seed}' hydra.sweep.dir=$(@D) \
		'hydra.sweep.subdir=ratio_$${ratio}/seed_$${seed}'
	$(RUN) odc_lightning.evaluate -m $(TWO) $(BALANCED) protocol=knn checkpoint=untrained seed=$(SEEDS) \
		hydra.sweep.dir=$(@D) 'hydra.sweep.subdir=untrained/seed_$${seed}'
	touch $@

$(FIGURES)/evaluation/finished: $(FIGURES)/odc_dc/finished $(FIGURES)/supervised/finished
	$(RUN) odc_lightning.evaluate -m $(TWO) $(BALANCED) protocol=[linear,low_shot] hydra.sweep.dir=$(@D) \
		checkpoint=untrained,$(FIGURES)/odc_dc/dc_fashion_mnist/seed_0,$(FIGURES)/odc_dc/odc_fashion_mnist/seed_0,$(FIGURES)/supervised
	touch $@

# ODC for small data beside its rivals; scripts/small_data/conf has what they share. Every run has a stamp of
# its own, so that an interruption costs no finished one.
LITTLE := outputs/small_data
METHODS := odc_small odc dc dcv2 rotation simclr swav supervised
OTHERS := digits letters
BENCH := --config-dir scripts/small_data/conf
# The images, how a method is trained on them ($* is METHOD/SEED), and what must be there before.
IMAGES_fashion := data=small_fashion_mnist
IMAGES_digits := data=digits
IMAGES_letters := data=letters data.root=$(LITTLE)/letters/images
# On the others all is as the recipe chooses but the epochs: about two minutes.
TRAIN_fashion = experiment=small_$(patsubst %/,%,$(dir $*))
TRAIN_digits = experiment=odc_small $(IMAGES_digits) callbacks.label_scores.knn=false trainer.max_epochs=50
TRAIN_letters = experiment=odc_small $(IMAGES_letters) callbacks.label_scores.knn=false trainer.max_epochs=6
NEEDED_letters := $(LITTLE)/letters/drawn
# One change at a time of ODC as published, and of the recipe: half of the benchmark's images, and of
# its epochs.
STUDIES := study_odc study_recipe
HALF := data.subset.num_images=10000 small_data.views_1.max_epochs=8 small_data.views_2.max_epochs=4
TRAIN_study_odc = experiment=small_odc +study_odc=$(patsubst %/,%,$(dir $*)) $(HALF)
TRAIN_study_recipe = experiment=small_odc_small +study_recipe=$(patsubst %/,%,$(dir $*)) $(HALF)
UNCHANGED := study_odc/evaluated/as_published study_recipe/evaluated/as_recommended
studied = $(notdir $(basename $(wildcard scripts/small_data/conf/$(1)/*.yaml)))
seeds_of = $(foreach number,0 1 2,$(addsuffix /$(number)/done,$(1)))

small-data: $(call seeds_of,$(addprefix $(LITTLE)/fashion/evaluated/,untrained $(METHODS))) ## Compare ODC for small data with seven others on 20,000 images (3 hours of one core)
	$(VENV)/bin/python scripts/small_data/table.py $(LITTLE)/fashion/evaluated > $(LITTLE)/fashion/results.md
	@cat $(LITTLE)/fashion/results.md

small-data-others: $(foreach data,$(OTHERS),$(call seeds_of,$(addprefix $(LITTLE)/$(data)/evaluated/,untrained odc_small))) ## Compare ODC for small data with an untrained network on digits and letters (half an hour of one core)
	@for data in $(OTHERS); do \
		$(VENV)/bin/python scripts/small_data/table.py $(LITTLE)/$$data/evaluated > $(LITTLE)/$$data/results.md && \
		printf '\n%s:\n\n' $$data && cat $(LITTLE)/$$data/results.md || exit 1; \
	done

# Every change with one seed; what is unchanged with three, which say how much a seed alone does.
small-data-study: $(foreach study,$(STUDIES),$(patsubst %,$(LITTLE)/$(study)/evaluated/%/0/done,$(call studied,$(study)))) $(call seeds_of,$(addprefix $(LITTLE)/,$(UNCHANGED))) ## Change one thing at a time of ODC on small data, and look into its clusters (2 hours of one core)
	@for study in $(STUDIES); do \
		$(VENV)/bin/python scripts/small_data/table.py $(LITTLE)/$$study/evaluated > $(LITTLE)/$$study/results.md && \
		printf '\n%s:\n\n' $$study && cat $(LITTLE)/$$study/results.md || exit 1; \
	done
	$(RUN) scripts.small_data.study_figure $(LITTLE)/study_odc/evaluated as_published $(LITTLE)/study_odc/changes.png
	$(RUN) scripts.small_data.study_figure $(LITTLE)/study_recipe/evaluated as_recommended $(LITTLE)/study_recipe/changes.png
	$(RUN) scripts.small_data.cluster_content 'K-Means at the start=$(LITTLE)/study_odc/trained/bootstrap_alone/0' \
		'ODC as published=$(LITTLE)/study_odc/trained/as_published/0' \
		'ODC for small data=$(LITTLE)/study_recipe/trained/as_recommended/0' --out $(LITTLE)/content

$(LITTLE)/letters/drawn: | $(SETUP_BENCH)
	$(RUN) scripts.small_data.letters $(LITTLE)/letters/images
	touch $@

# What an interrupted run has left goes first, so that a folder is of one run.
define compared
$(LITTLE)/$(1)/trained/%/done: | $(SETUP_BENCH) $(NEEDED_$(1))
	rm -rf $$(@D)
	$$(RUN) odc_lightning.train $(BENCH) $$(TRAIN_$(1)) seed=$$(notdir $$*) hydra.run.dir=$$(@D)
	touch $$@

$(LITTLE)/$(1)/evaluated/untrained/%/done: | $(SETUP_BENCH) $(NEEDED_$(1))
	rm -rf $$(@D)
	$$(RUN) odc_lightning.evaluate $(BENCH) benchmark=small_data checkpoint=untrained model=convnet \
		$(IMAGES_$(1)) seed=$$* features_dir=$(LITTLE)/features hydra.run.dir=$$(@D)
	touch $$@

$(LITTLE)/$(1)/evaluated/%/done: $(LITTLE)/$(1)/trained/%/done
	rm -rf $$(@D)
	$$(RUN) odc_lightning.evaluate $(BENCH) benchmark=small_data checkpoint=$$(<D) \
		seed=$$(notdir $$*) features_dir=$(LITTLE)/features hydra.run.dir=$$(@D)
	touch $$@

.SECONDARY: $(call seeds_of,$(addprefix $(LITTLE)/$(1)/trained/,$(METHODS) $(call studied,$(1))))
endef
$(foreach data,fashion $(OTHERS) $(STUDIES),$(eval $(call compared,$(data))))

lint: $(SETUP_DEV) ## Check style and formatting (ruff)
	$(RUN) ruff check .
	$(RUN) ruff format --check .

type: $(SETUP_DEV) ## Check types (mypy)
	$(RUN) mypy

format: $(SETUP_DEV) ## Mend style and formatting in place (ruff)
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

docs: $(SETUP_DEV) ## Build the documentation as a site in outputs/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --quiet

# Two processes on two cores: with more threads than cores they would wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1

test: $(SETUP_DEV) ## Run all tests but the slow ones, two at a time
	$(ONE_THREAD) $(RUN) pytest -n 2 -m "not long"

test-slow: $(SETUP_DEV) ## Run the tests that kill processes and those that soak
	$(ONE_THREAD) $(RUN) pytest -n 2 -m long

test-ddp: $(SETUP_DEV) ## Run only the tests that start several processes
	$(RUN) pytest -m ddp

bench: $(SETUP_DEV) ## Measure what every part costs beside its floor and its rivals (outputs/bench)
	$(RUN) benchmarks

clean: ## Remove the environment, caches and builds; runs in outputs/ stay
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(SETUP): setup.cfg pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found; name one: make PYTHON=/path/to/python setup"; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --editable .
	@touch $@

$(SETUP_SWEEP): $(SETUP)
	$(RUN) pip install --quiet --editable '.[sweep]'
	@touch $@

$(SETUP_BENCH): $(SETUP)
	$(RUN) pip install --quiet --editable '.[bench]'
	@touch $@

$(SETUP_DEV): $(SETUP)
	$(RUN) pip install --quiet --editable '.[dev]'
	@touch $@
