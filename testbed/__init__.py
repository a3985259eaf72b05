"""Real servers for tests and for playing with: Elasticsearch 7.17, 8.19 and 9.4, PostgreSQL, and a
relay that disturbs the traffic to one of them.

Linux only. What is missing on the machine is said in a TestbedError.
"""
