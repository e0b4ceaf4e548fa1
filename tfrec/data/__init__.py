"""Interaction data: conversion to a dataset directory, manifest, schema, vocabularies and reading pipelines."""
