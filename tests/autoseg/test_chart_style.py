import matplotlib as mpl
from matplotlib.figure import Figure

from autoseg.chart_style import own_style


def test_settings_of_a_stranger_decide_nothing_and_come_back_afterwards():
    with mpl.rc_context({"text.usetex": True, "svg.fonttype": "none"}):
        with own_style():
            assert not Figure().text(0, 0, "a").get_usetex()
            assert mpl.rcParams["svg.fonttype"] == "path"
        assert mpl.rcParams["text.usetex"] and mpl.rcParams["svg.fonttype"] == "none"
