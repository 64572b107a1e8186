"""Campaigns: whom to contact with which offer, under which limits, beside a control group."""
