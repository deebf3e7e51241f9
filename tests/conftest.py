"""What every test shares: how Hypothesis searches, and how it reports."""

import os
import signal

import pytest
from hypothesis import settings

# "ci" tries the same examples on every machine, so that a red run can be repeated anywhere;
# "explore" draws new ones and more of them: HYPOTHESIS_PROFILE=explore make test.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", autouse=True)
def _machine_code_of_the_tests(tmp_path_factory):
    """Keep compiled functions in a folder that goes with the tests, and make none by the clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path_factory.mktemp("native")))
        patch.setenv("CHAINRULE_BACKGROUND", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def _interrupts_are_heard():
    """Hear Ctrl-C: a shell that starts us in the background lets its children ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
