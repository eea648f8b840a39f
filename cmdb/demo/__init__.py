"""The demo estate: a made-up mid-size company, declared in `data/*.yaml`, expanded without chance or clock.

`estate.demo_observations()` is what gets loaded, `estate.demo_questions()` what is worth asking of it.
"""
