# ODC and DC as fine-tuning (Table 4): docs/results.md, docs/fine_tuning.md. Five starting points are
# trained, each is fine-tuned by DC, by ODC and by the recipe for pretrained networks, and all are
# evaluated.
.PHONY: fine-tuning

FINE_TUNING := outputs/fine_tuning
# Small batches give enough steps on so few images.
FINE_TUNING_SETTINGS := 'data.subset={num_images: 6000}' data.batch_size=64 callbacks.label_scores.knn=false
STARTING_POINTS := rotation_fashion_mnist,jigsaw_fashion_mnist,colorization_photos,dc_fashion_mnist,simclr_fashion_mnist
# SimCLR and the recipe on Fashion-MNIST.
FINE_TUNING_CONFIGS := 'hydra.searchpath=[file://scripts/small_data/conf,file://scripts/adapt/conf]'
# DC and ODC see as many views; the recipe chooses its batch and its epochs itself.
LENGTH_dc := trainer.max_epochs=6
LENGTH_odc := trainer.max_epochs=6
LENGTH_adapt := data.batch_size=null
# Each run of a sweep has a folder named by its settings, so an interrupted run is resumed.
FOLDER_BY_NAME := train.resume=auto 'hydra.sweep.subdir=$${name}/$${seed}'
FOLDER_BY_START := train.resume=auto 'hydra.sweep.subdir=$${start}/$${seed}'

fine-tuning: $(FINE_TUNING)/evaluated ## Fine-tune five starting points by DC, ODC and the recipe (Table 4; more than an hour on two cores)
	$(VENV)/bin/python scripts/fine_tuning_table.py $(FINE_TUNING)/evaluation > $(FINE_TUNING)/results.md
	@cat $(FINE_TUNING)/results.md

$(FINE_TUNING)/original/done: | $(SETUP_SWEEP) $(SETUP_BENCH)
	$(RUN) odc_lightning.train -m $(TWO_JOBS) $(FINE_TUNING_CONFIGS) \
		experiment=rotation_fashion_mnist,jigsaw_fashion_mnist,dc_fashion_mnist,simclr_fashion_mnist \
		seed=$(SEEDS) $(FINE_TUNING_SETTINGS) hydra.sweep.dir=$(FINE_TUNING)/original $(FOLDER_BY_NAME)
	$(RUN) odc_lightning.train -m $(TWO_JOBS) experiment=colorization_photos seed=$(SEEDS) \
		hydra.sweep.dir=$(FINE_TUNING)/original $(FOLDER_BY_NAME)
	touch $@

$(FINE_TUNING)/%/done: $(FINE_TUNING)/original/done
	$(RUN) odc_lightning.train -m $(TWO_JOBS) $(FINE_TUNING_CONFIGS) experiment=finetune_$*_fashion_mnist \
		+start=$(STARTING_POINTS) seed=$(SEEDS) \
		'model.pretrained=$(FINE_TUNING)/original/$${start}/$${seed}' $(FINE_TUNING_SETTINGS) $(LENGTH_$*) \
		hydra.sweep.dir=$(FINE_TUNING)/$* $(FOLDER_BY_START)
	touch $@

$(FINE_TUNING)/evaluated: $(FINE_TUNING)/original/done $(FINE_TUNING)/dc/done $(FINE_TUNING)/odc/done $(FINE_TUNING)/adapt/done
	$(RUN) odc_lightning.evaluate -m $(TWO_JOBS) +method=original,dc,odc,adapt +start=$(STARTING_POINTS) seed=$(SEEDS) \
		'checkpoint=$(FINE_TUNING)/$${method}/$${start}/$${seed}' \
		data=fashion_mnist 'data.subset={num_images: 6000}' protocol=[knn,linear,clustering] \
		protocol.linear.layers=[pooled] hydra.sweep.dir=$(FINE_TUNING)/evaluation \
		'hydra.sweep.subdir=$${method}/$${start}/$${seed}'
	$(RUN) odc_lightning.evaluate -m $(TWO_JOBS) checkpoint=untrained model=convnet seed=$(SEEDS) \
		data=fashion_mnist 'data.subset={num_images: 6000}' protocol=[knn,linear,clustering] \
		protocol.linear.layers=[pooled] hydra.sweep.dir=$(FINE_TUNING)/evaluation \
		'hydra.sweep.subdir=untrained/none/$${seed}'
	touch $@

.SECONDARY: $(FINE_TUNING)/dc/done $(FINE_TUNING)/odc/done $(FINE_TUNING)/adapt/done
