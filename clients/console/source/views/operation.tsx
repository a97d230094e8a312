// What whoever runs the server looks after: keys, dead letters, the audit log, webhooks.
import { may, type ViewProps } from "../app";
import { Heading, Tabs } from "../parts/ui";
import { link } from "../route";
import { AuditLog } from "./audit_log";
import { DeadLetters } from "./dead_letters";
import { Deliveries } from "./deliveries";
import { Keys } from "./keys";
import { Webhooks } from "./webhooks";

export function OperationView({ session, rest }: ViewProps) {
  const tabs = [
    ...(may(session, "admin") ? [["keys", "Keys"], ["dead-letters", "Dead letters"], ["audit-log", "Audit log"]] : []),
    ...(may(session, "webhooks") ? [["webhooks", "Webhooks"]] : []),
  ] as [string, string][];
  const current = tabs.find(([name]) => name === rest[0])?.[0] ?? tabs[0]![0];
  return (
    <>
      <Heading title="Operations" />
      <Tabs label="Of operations" tabs={tabs.map(([name, words]) => ({ name: words, href: link("operation", name), current: name === current }))} />
      {current === "keys" && <Keys own={session.key_id} environment={session.environment} />}
      {current === "dead-letters" && <DeadLetters />}
      {current === "audit-log" && <AuditLog />}
      {current === "webhooks" && (rest[1] ? <Deliveries key={rest[1]} id={rest[1]} /> : <Webhooks />)}
    </>
  );
}
