// A reset: the class goes on in a new workspace under the same code. The pages of its people follow by themselves,
// also that of a phone that was away meanwhile, and keep their names.
import * as office from "../support/office.mjs";
import { openTab } from "../support/page.mjs";
import * as shop from "../support/shop.mjs";
import { expect, test } from "../support/test.mjs";

const PHONE = { viewport: { width: 360, height: 740 } };

/** Resets the workspace through the API, and gives the educator's access to the new one. */
async function reset(opened, to = "empty") {
  const answer = await opened.server.fetch(`/api/v1/lab/reset?confirm=${opened.workspace}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${opened.token}` },
    body: JSON.stringify({ to }),
  });
  expect(answer.ok, `the reset answered ${answer.status}: ${await answer.clone().text()}`).toBe(true);
  return { ...(await answer.json()), server: opened.server };
}

/** The name and the workspace of a person's browser. Requests of scripts do not follow; only a page does. */
async function sessionOf(opened, person) {
  const answer = await person.request.get(`${opened.server.url}/api/v1/session`);
  const { display_name, workspace } = await answer.json();
  return { display_name, workspace };
}

/** Waits until a person's page has followed to a workspace, and shows what is there. */
async function hasFollowed(opened, { person, page, name }, workspace) {
  await expect.poll(() => sessionOf(opened, person)).toEqual({ display_name: name, workspace });
  await shop.isLive(page);
}

test("the pages of a class follow a reset, with their names", async ({
  context: ada,
  newPerson,
  pageErrors,
  server,
}) => {
  // A page that is about to be left may still ask for something of the old workspace.
  pageErrors.allow(/WebSocket|410|Gone/);
  const opened = await office.openShop(server);
  await office.letIn(opened, ada, "educator", { name: "Ada" });
  const people = [{ person: ada, page: await openTab(ada, "/shop"), name: "Ada" }];
  for (const name of ["Grace", "Alan"]) {
    const person = await newPerson(PHONE);
    people.push({ person, page: await shop.join(person, opened.join_code, name), name });
  }
  for (const { page } of people) {
    await shop.isLive(page);
    await expect(shop.product(page, "Enamel mug")).toBeVisible();
  }

  const next = await reset(opened);
  expect(next.join_code).toBe(opened.join_code);
  for (const one of people) {
    await hasFollowed(opened, one, next.workspace);
    await expect(one.page).toHavePath("/shop");
    await expect(shop.product(one.page, "Enamel mug")).toHaveCount(0);
    expect(await shop.joinCode(one.page)).toBe(opened.join_code);
  }
  const late = await newPerson(PHONE);
  await shop.join(late, opened.join_code, "Joan");
  expect((await sessionOf(opened, late)).workspace).toBe(next.workspace);
});

test("a phone that was away follows when it is back, also over two resets", async ({
  newPerson,
  pageErrors,
  server,
}) => {
  pageErrors.allow(/WebSocket|410|Gone|ERR_INTERNET_DISCONNECTED/);
  const opened = await office.openShop(server);
  const grace = await newPerson(PHONE);
  const page = await shop.join(grace, opened.join_code, "Grace");
  await shop.isLive(page);
  await grace.setOffline(true);
  await expect(shop.connection(page)).toHaveText(/offline/);
  const second = await reset(opened);
  const third = await reset(second, "shop");
  await grace.setOffline(false);
  await hasFollowed(opened, { person: grace, page, name: "Grace" }, third.workspace);
});
