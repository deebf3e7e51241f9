"""What every test shares: how Hypothesis searches, and how it reports."""

import os

from hypothesis import settings

# "ci" tries the same examples on every machine, so that a red run can be repeated anywhere;
# "explore" draws new ones and more of them: HYPOTHESIS_PROFILE=explore make test.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
