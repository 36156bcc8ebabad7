"""Small models for tests of the fold: each rule and stage is there for one mechanism."""

HEAD = """
leadstream: 1
name: small
"""

# Points without decay, so that a test can count them; no stage but the first two.
COUNTING = (
    HEAD
    + """
site: {hosts: ["*.acme.example"]}
dimensions: {engagement: {half_life: never}}
stages:
  - {id: visitor}
  - {id: lead, enter: {known: true}}
rules:
  - {id: view, points: 1, when: {event: page_view}}
  - {id: paper, points: 10, when: {event: download}, limit: {times: 1, per: day, by: asset}}
  - {id: once, points: 100, when: {event: trial_started}, limit: {times: 1, per: lifetime}}
"""
)

# Half-life 10 days; in at 100, out below 50: one half-life after 100 points.
STAGED = (
    HEAD
    + """
dimensions: {engagement: {half_life: 10d}}
rules:
  - {id: big, points: 100, when: {event: demo}}
  - {id: mid, points: 60, when: {event: webinar}}
  - {id: small, points: 1, when: {event: page_view}}
  - {id: bad, points: -80, when: {event: complaint}}
stages:
  - {id: visitor}
  - {id: warm, enter: {score: at least 20}, exit: {score: below 10}, cooldown: 1d, feedback: [lost]}
  - {id: hot, enter: {score: at least 100}, exit: {score: below 50}, min_dwell: 2d, cooldown: 5d}
  - {id: sal, owner: sales, feedback: [accepted]}
  - {id: customer, owner: sales, feedback: [won]}
alerts:
  routes:
    - {name: rich, enters: hot, when: {traits.size: at least 1000}, send_to: [vip]}
    - {name: any hot, enters: hot, send_to: [sales]}
    - {name: never reached, enters: hot, send_to: [nobody]}
    - {name: cooled, leaves: hot, to: warm, send_to: [marketing]}
"""
)


def changed(model: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in model, old
        model = model.replace(old, new)
    return model
