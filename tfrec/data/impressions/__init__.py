"""Impressions (rows with a label) in a dataset directory: conversion, reading and encoding of new rows."""
