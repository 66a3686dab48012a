# Shared by several studies.
SEEDS := 0,1,2
# Two jobs at a time, one core each: a second core is of little use to networks this small.
TWO_JOBS := hydra/launcher=joblib hydra.launcher.n_jobs=2 trainer.accelerator=cpu
# $(call seed_folders,NAME,FOLDER): the runs of a method, as the scripts for figures take them.
seed_folders = $(foreach seed,0 1 2,$(1)=$(2)/seed_$(seed))
