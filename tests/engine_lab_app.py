"""A Celery application like the real one, with the lab's stages in place of the real ones."""

from shared.settings import load_settings
from tests.engine_lab import works
from workers.app import make_app
from workers.task import stage_task

app = make_app(load_settings())
app.conf.include = ["workers.signals"]
tasks = [stage_task(app, stage, work) for stage, work in works().items()]
