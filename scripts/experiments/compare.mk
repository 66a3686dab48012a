# ODC between no training and supervision: docs/results.md.
.PHONY: compare

# The networks are trained once; the evaluations are repeated.
COMPARE := outputs/compare

compare: $(COMPARE)/odc/summary.json $(COMPARE)/supervised/summary.json ## Train ODC and a supervised network on Fashion-MNIST, and evaluate both and an untrained one
	rm -rf $(COMPARE)/evaluation
	$(RUN) odc_lightning.evaluate -m checkpoint=untrained,$(COMPARE)/odc,$(COMPARE)/supervised \
		data=fashion_mnist model=convnet hydra.sweep.dir=$(COMPARE)/evaluation
	$(VENV)/bin/python scripts/evaluation_table.py $(COMPARE)/evaluation/*/ \
		--figure $(COMPARE)/low_shot.png > $(COMPARE)/results.md
	@cat $(COMPARE)/results.md

$(COMPARE)/%/summary.json: | $(SETUP)
	$(RUN) odc_lightning.train experiment=$*_fashion_mnist train.resume=auto hydra.run.dir=$(COMPARE)/$*
