# The paper's figures and tables at small scale: docs/results.md. The sweeps of conf/sweep with
# 5,000 images, a narrower network, fewer values and a kNN only at the end; Table 4 with 3,000 images.
# Each sweep has a stamp, and an interrupted sweep is resumed.
.PHONY: figures

FIGURES := outputs/figures
FIGURES_FROM := $(addprefix $(FIGURES)/,$(addsuffix /finished,odc_dc wide supervised update_interval \
	cluster_size long_tail_evaluated evaluation))
NARROW_NETWORK := model.backbone.width=12
SHORT_TRAINING := data.subset.num_images=5000 data.batch_size=64 trainer.max_epochs=30 \
	callbacks.label_scores.every_n_epochs=100
# An epoch has 78 steps. For the study of cluster sizes, 25 clusters have 200 images on average.
VALUES_update_interval := algorithm.centroid_refresh.every_n_steps=1,5,20,100
VALUES_cluster_size := algorithm.small_clusters.threshold=5,20,80,160 algorithm.num_clusters=25
RATIOS := 1,8,64
VALUES_long_tail := data.subset.imbalance=$(RATIOS)
BALANCED_IMAGES := data=fashion_mnist '+data.subset.num_images=5000' model=convnet \
	$(NARROW_NETWORK) features_dir=$(FIGURES)/features

figures: $(FIGURES_FROM) ## Redo the paper's Figures 1b and 3 to 7 and Tables 1 to 4 at small scale (77 minutes on two cores)
	$(MAKE) $(FIGURES)/fine_tuning/evaluated FINE_TUNING=$(FIGURES)/fine_tuning SEEDS=0 \
		"FINE_TUNING_SETTINGS='data.subset={num_images: 3000}' data.batch_size=64 callbacks.label_scores.knn=false"
	$(VENV)/bin/python scripts/figure_1b.py $(call seed_folders,ODC,$(FIGURES)/odc_dc/odc_fashion_mnist) \
		$(call seed_folders,DC,$(FIGURES)/odc_dc/dc_fashion_mnist) $(FIGURES)/figure_1b.png
	$(VENV)/bin/python scripts/figure_3.py $(FIGURES)/evaluation/*/ $(FIGURES)/figure_3.png
	$(VENV)/bin/python scripts/figure_4.py $(FIGURES)/update_interval $(FIGURES)/cluster_size $(FIGURES)/figure_4.png
	$(VENV)/bin/python scripts/figure_5.py $(call seed_folders,'width 12',$(FIGURES)/odc_dc/odc_fashion_mnist) \
		$(call seed_folders,'width 24',$(FIGURES)/wide) $(FIGURES)/figure_5.png
	$(VENV)/bin/python scripts/figure_6.py $(FIGURES)/long_tail_evaluated $(FIGURES)/figure_6.png
	$(VENV)/bin/python scripts/figure_7.py $(FIGURES)/odc_dc/odc_fashion_mnist/seed_0 $(FIGURES)/figure_7.png
	$(VENV)/bin/python scripts/tables.py $(FIGURES)/evaluation --fine-tuning $(FIGURES)/fine_tuning/evaluation \
		> $(FIGURES)/tables.md
	$(RUN) odc_lightning.report $(FIGURES)/odc_dc $(FIGURES)/evaluation --out $(FIGURES)/report.html
	@cat $(FIGURES)/tables.md

$(FIGURES)/odc_dc/finished: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO_JOBS) sweep=odc_dc $(NARROW_NETWORK) $(SHORT_TRAINING) trainer.log_every_n_steps=4 \
		hydra.sweep.dir=$(@D)
	touch $@

$(FIGURES)/wide/finished: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO_JOBS) sweep=odc_dc experiment=odc_fashion_mnist $(SHORT_TRAINING) trainer.log_every_n_steps=4 \
		hydra.sweep.dir=$(@D) 'hydra.sweep.subdir=seed_$${seed}'
	touch $@

$(FIGURES)/supervised/finished: | $(SETUP)
	$(RUN) odc_lightning.train experiment=supervised_fashion_mnist $(NARROW_NETWORK) '+data.subset.num_images=5000' \
		data.batch_size=64 trainer.max_epochs=30 train.resume=auto hydra.run.dir=$(@D)
	touch $@

$(addprefix $(FIGURES)/,$(addsuffix /finished,update_interval cluster_size long_tail)): $(FIGURES)/%/finished: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO_JOBS) sweep=$* $(NARROW_NETWORK) $(SHORT_TRAINING) $(VALUES_$*) hydra.sweep.dir=$(@D)
	touch $@

# The images are balanced over the classes, even where the network was trained on a long tail.
$(FIGURES)/long_tail_evaluated/finished: $(FIGURES)/long_tail/finished
	$(RUN) odc_lightning.evaluate -m $(TWO_JOBS) $(BALANCED_IMAGES) protocol=knn +ratio=$(RATIOS) seed=$(SEEDS) \
		'checkpoint=$(FIGURES)/long_tail/ratio_$${ratio}/seed_$${seed}' hydra.sweep.dir=$(@D) \
		'hydra.sweep.subdir=ratio_$${ratio}/seed_$${seed}'
	$(RUN) odc_lightning.evaluate -m $(TWO_JOBS) $(BALANCED_IMAGES) protocol=knn checkpoint=untrained seed=$(SEEDS) \
		hydra.sweep.dir=$(@D) 'hydra.sweep.subdir=untrained/seed_$${seed}'
	touch $@

$(FIGURES)/evaluation/finished: $(FIGURES)/odc_dc/finished $(FIGURES)/supervised/finished
	$(RUN) odc_lightning.evaluate -m $(TWO_JOBS) $(BALANCED_IMAGES) protocol=[linear,low_shot] hydra.sweep.dir=$(@D) \
		checkpoint=untrained,$(FIGURES)/odc_dc/dc_fashion_mnist/seed_0,$(FIGURES)/odc_dc/odc_fashion_mnist/seed_0,$(FIGURES)/supervised
	touch $@
