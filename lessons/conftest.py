"""nbval compares every output of a lesson but stderr, where libraries talk about the machine that they run on."""


def pytest_collectstart(collector):
    if collector.path.suffix == ".ipynb":
        collector.skip_compare += ("stderr",)
