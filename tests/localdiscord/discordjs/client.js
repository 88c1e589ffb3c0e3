// A small bot on discord.js, unmodified, for the local Discord. Arguments: address, token. Prints one JSON line for each thing that happened;
// ends when its standard input ends. Driven by tests/localdiscord/test_clients.py.
const {
  ActionRowBuilder, AttachmentBuilder, ButtonBuilder, ButtonStyle, Client, Events, GatewayIntentBits, MessageFlags, ModalBuilder,
  SlashCommandBuilder, StringSelectMenuBuilder, TextInputBuilder, TextInputStyle, version,
} = require("discord.js");

const [address, token] = process.argv.slice(2);
const tell = (what, more = {}) => process.stdout.write(JSON.stringify({ what, ...more }) + "\n");
const fail = (error) => {
  tell("failed", { error: String(error && error.stack) });
  process.exit(1);
};
process.on("unhandledRejection", fail);
process.on("uncaughtException", fail);

const client = new Client({
  intents: [GatewayIntentBits.Guilds, GatewayIntentBits.GuildMessages],
  rest: { api: `${address}/api`, cdn: `${address}/cdn`, retries: 0 },
});
const button = (id, label) => new ButtonBuilder().setCustomId(id).setLabel(label).setStyle(ButtonStyle.Primary);
const row = (...components) => new ActionRowBuilder().addComponents(...components);

const commands = [
  new SlashCommandBuilder().setName("hello").setDescription("Answer after a while")
    .addStringOption((o) => o.setName("name").setDescription("Who").setRequired(true).setAutocomplete(true)),
  new SlashCommandBuilder().setName("quiet").setDescription("Answer one person only"),
  new SlashCommandBuilder().setName("look").setDescription("Look at a file and give one back")
    .addAttachmentOption((o) => o.setName("file").setDescription("Any").setRequired(true))
    .addUserOption((o) => o.setName("from").setDescription("Whose"))
    .addChannelOption((o) => o.setName("where").setDescription("Any channel"))
    .addIntegerOption((o) => o.setName("times").setDescription("How often").setMinValue(1).setMaxValue(5)),
  new SlashCommandBuilder().setName("persona").setDescription("Speak as somebody else")
    .addSubcommand((s) => s.setName("once").setDescription("One message")),
];

const slash = {
  async hello(interaction) {
    await interaction.deferReply();
    await interaction.editReply({ content: `Hello ${interaction.options.getString("name")}`, components: [row(button("again", "Again"), button("ask", "Ask"))] });
    await interaction.channel.send({ content: "<@1> and @everyone: sent to the channel", allowedMentions: { parse: [] } });
  },
  async quiet(interaction) {
    await interaction.reply({
      content: "Only you", flags: MessageFlags.Ephemeral,
      components: [row(new StringSelectMenuBuilder().setCustomId("colour").addOptions({ label: "Red", value: "r" }, { label: "Blue", value: "b" }))],
    });
    await interaction.followUp({ content: "And more", flags: MessageFlags.Ephemeral });
  },
  async look(interaction) {
    const given = interaction.options.getAttachment("file");
    const text = await (await fetch(given.url)).text();
    const from = interaction.options.getUser("from");
    const where = interaction.options.getChannel("where");
    const times = interaction.options.getInteger("times");
    const file = new AttachmentBuilder(Buffer.from(text.toUpperCase()), { name: "loud.txt" });
    await interaction.reply({ content: `${given.name} ${given.size} ${from?.username} ${where?.name} ${times}`, files: [file] });
  },
  async persona(interaction) {
    await interaction.deferReply({ flags: MessageFlags.Ephemeral });
    const webhook = await interaction.channel.createWebhook({ name: "Voices" });
    const sent = await webhook.send({ content: "I am another", username: "Nadia (AI)" });
    await webhook.editMessage(sent, { content: "I am another, still" });
    const found = await interaction.channel.fetchWebhooks();
    const message = await interaction.channel.messages.fetch(sent.id);
    await interaction.editReply(`${interaction.options.getSubcommand()}: ${found.size} webhook, ${message.author.username}`);
  },
};

client.on(Events.InteractionCreate, async (interaction) => {
  try {
    if (interaction.isAutocomplete()) {
      const typed = interaction.options.getFocused();
      await interaction.respond(["alpha", "beta"].filter((n) => n.startsWith(typed)).map((n) => ({ name: n.toUpperCase(), value: n })));
    } else if (interaction.isChatInputCommand()) {
      await slash[interaction.commandName](interaction);
    } else if (interaction.isButton() && interaction.customId === "again") {
      await interaction.update({ content: `${interaction.message.content}, again`, components: [] });
    } else if (interaction.isButton()) {
      const text = new TextInputBuilder().setCustomId("why").setLabel("Why").setStyle(TextInputStyle.Short);
      await interaction.showModal(new ModalBuilder().setCustomId("asked").setTitle("Ask").addComponents(row(text)));
    } else if (interaction.isModalSubmit()) {
      await interaction.reply({ content: `Because ${interaction.fields.getTextInputValue("why")}` });
    } else if (interaction.isStringSelectMenu()) {
      await interaction.update({ content: `Chosen ${interaction.values.join(" ")}`, components: [] });
    }
    tell("answered", { id: interaction.id });
  } catch (error) {
    fail(error);
  }
});
client.on(Events.MessageCreate, (message) => tell("message", { author: message.author.username, content: message.content }));
client.on(Events.Error, fail);
client.once(Events.ClientReady, async () => {
  const known = await client.application.commands.set(commands);
  tell("ready", { version, user: client.user.username, guilds: client.guilds.cache.map((g) => g.name), commands: known.map((c) => c.name) });
});
process.stdin.resume().on("end", async () => {
  await client.destroy();
  process.exit(0);
});
client.login(token).catch(fail);
