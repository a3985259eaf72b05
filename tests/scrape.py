"""What Prometheus sees of a service: one scrape, read as it reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.service import Api


class Scrape:
    """One answer of `/metrics`, read as Prometheus reads it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in read_text(text)}
        self.samples = [one for family in self.families.values() for one in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels; 0 where there is none."""
        wanted = labels.items()
        found = [one for one in self.samples if one.name == name and wanted <= one.labels.items()]
        return sum(one.value for one in found)

    def labels(self, name: str, label: str) -> set[str]:
        return {one.labels[label] for one in self.samples if one.name == name and one.value}


async def scraped(service: Api) -> Scrape:
    answer = await service.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)
