"""Recordings made from data that others kept: coarser than what a door records, and labelled so.

An importer never lets a fact appear before it could have been known; where the data leaves that open, it takes the later moment.
"""
