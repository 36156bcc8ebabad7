// node send.js HOST: one call of every kind through @segment/analytics-node; exits with 1 if one was not delivered.
const { Analytics } = require("@segment/analytics-node");

const analytics = new Analytics({ writeKey: "web_1", host: process.argv[2], flushInterval: 50 });
const ids = { userId: "user-1", anonymousId: "anon-1" };
analytics.on("error", (error) => {
  console.error(error);
  process.exitCode = 1;
});
analytics.identify({ ...ids, traits: { email: "ada@bigbank.example", title: "CTO" } });
analytics.page({ ...ids, name: "Pricing", properties: { url: "https://www.example.com/pricing?utm_source=g" } });
analytics.track({ ...ids, event: "Demo Requested", properties: { form: "demo", value: 10 } });
analytics.group({ ...ids, groupId: "acme", traits: { employees: 120 } });
analytics.alias({ userId: "user-1", previousId: "anon-0" });
analytics.screen({ ...ids, name: "Home" });
analytics.closeAndFlush();
