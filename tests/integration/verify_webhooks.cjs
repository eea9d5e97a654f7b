// Standard input: one notice a line, {headers, body, secret}. Standard output: for each, what the
// verifiers that others wrote say about it.
const { Webhook } = require("standardwebhooks");
const { HTTP } = require("cloudevents");

function signature({ headers, body, secret }) {
  try {
    new Webhook(secret).verify(body, headers);
    return "good";
  } catch (error) {
    return String(error);
  }
}

function event({ headers, body }) {
  if (!HTTP.isEvent({ headers, body })) return null;
  try {
    const event = HTTP.toEvent({ headers, body });
    event.validate();
    return event.toJSON();
  } catch (error) {
    return String(error) + JSON.stringify(error.errors ?? "");
  }
}

const lines = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const line of lines) {
  const notice = JSON.parse(line);
  console.log(JSON.stringify({ signature: signature(notice), event: event(notice) }));
}
