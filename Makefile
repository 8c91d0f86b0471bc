LOCK := requirements.lock
lock: ; uv pip compile pyproject.toml --all-extras --generate-hashes --no-header --no-annotate --python-version 3.11 --no-emit-package nvidia-nccl-cu12 -o $(LOCK)
