"""Measurements against named rivals, on a real kube-apiserver that is started for the run.

`python -m bench --help` lists them. Every figure that is compared was measured in the same run, on the same
machine and the same API server: what travels is the ratio, not the milliseconds. Goals are data (goals.json).

    __main__.py   chooses what to measure            cluster.py    the API server and the objects on it
    plan.py       sizes of a run                     contenders.py processes that are measured
    report.py     rows, tables, results/NAME.json    contender/    what runs in those processes
    goals.py      what is promised, and since when   the rest      one module a benchmark
"""
