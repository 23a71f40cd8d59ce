"""What tests of tiny campaigns have in common."""

TWO_FAMILIES = {
    "shard_size": 4,
    "families": {
        "quartz": {"generator": "crystal", "count": 6, "polymorphs": ["alpha_quartz"]},
        "liquid": {"generator": "melt", "count": 4, "atoms": [24]},
    },
}
