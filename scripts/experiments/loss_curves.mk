# The losses of ODC and DC (Figure 1b): docs/results.md.
.PHONY: loss-curves

LOSS_CURVES := outputs/loss_curves

loss-curves: $(LOSS_CURVES)/trained ## Train ODC and DC on Fashion-MNIST and draw their losses on one axis (Figure 1b)
	$(VENV)/bin/python scripts/figure_1b.py $(call seed_folders,ODC,$(LOSS_CURVES)/odc_fashion_mnist) \
		$(call seed_folders,DC,$(LOSS_CURVES)/dc_fashion_mnist) $(LOSS_CURVES)/loss_curves.png

$(LOSS_CURVES)/trained: | $(SETUP_SWEEP)
	$(RUN) odc_lightning.train $(TWO_JOBS) sweep=odc_dc hydra.sweep.dir=$(LOSS_CURVES)
	touch $@
