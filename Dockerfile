# One image for every part of agentflow. Tasks come with an image of your own:
#     FROM agentflow
#     COPY tasks.py .
# On one host the volume may be the database, and the parts below may share it:
#     docker run -p 127.0.0.1:8000:8000 -v agentflow:/data my-tasks                          everything in one
#     docker run -p 127.0.0.1:8000:8000 -v agentflow:/data my-tasks ui tasks.py --host 0.0.0.0 --port 8000   the inbox alone
#     docker run -v agentflow:/data my-tasks worker tasks.py
#     docker run -v agentflow:/data my-tasks scheduler tasks.py
# On several hosts they share a PostgreSQL: -e AGENTFLOW_DATABASE_URL=postgresql://... in place of -v; deploy/ has a
# compose file and a Kubernetes manifest. Give a container longer to stop than --drain-timeout and ten seconds:
#     docker stop --time 45 ...
# Nobody gets in without a token; this prints the first one, for the same volume or database:
#     docker run -v agentflow:/data my-tasks tokens create YOUR-NAME --all

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /app/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY agentflow agentflow
COPY approvals_ui approvals_ui
COPY schedulers schedulers
RUN /app/venv/bin/python -m pip install --no-cache-dir --constraint constraints.txt ".[postgres,speed]"

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data agentflow \
    && install -d -o agentflow -g agentflow -m 0700 /data
COPY --from=build /app/venv /app/venv
ENV PATH=/app/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    AGENTFLOW_HEALTH=127.0.0.1:8081 \
    AGENTFLOW_DATABASE_URL=sqlite:////data/agentflow.db
WORKDIR /app
USER agentflow
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Alive, not ready: a database that is away must not get every program restarted.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/health/live', timeout=3)"]
ENTRYPOINT ["agentflow"]
CMD ["serve", "tasks.py", "--host", "0.0.0.0", "--port", "8000"]
