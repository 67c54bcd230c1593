"""For operators: is the deployment sound?"""
