"""Tests of Lineiform: everything goes through the public face or one room's own functions."""
